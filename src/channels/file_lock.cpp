#include "channels/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace carillon {

namespace {

failure os_failure(std::string_view doing, const std::filesystem::path& path) {
    return {errc::unavailable,
            fmt::format("{} {}: {}", doing, path.string(), std::generic_category().message(errno))};
}

std::string content_of(int descriptor) {
    char text[256];
    const auto n = ::pread(descriptor, text, sizeof text, 0);
    return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string("no name");
}

// The content is for people: a full disk must not keep the lock from working.
bool write_content(int descriptor, const std::string& content) {
    return ::ftruncate(descriptor, 0) == 0 && ::pwrite(descriptor, content.data(), content.size(),
                                                       0) == static_cast<ssize_t>(content.size());
}

} // namespace

result<file_lock> file_lock::take(const std::filesystem::path& path, const std::string& content) {
    file_lock made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!made)
        return os_failure("cannot open the lock", path);
    if (::flock(made.descriptor_, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return os_failure("cannot lock", path);
        return failure{errc::conflict, fmt::format("{} is held by {}", path.string(),
                                                   content_of(made.descriptor_))};
    }
    if (!write_content(made.descriptor_, content))
        return os_failure("cannot write the lock", path);
    return made;
}

result<file_lock> file_lock::create(const std::filesystem::path& path, const std::string& content) {
    auto hidden = path;
    hidden += ".new";
    auto made = take(hidden, content);
    if (!made)
        return made;
    if (::rename(hidden.c_str(), path.c_str()) != 0)
        return os_failure("cannot name the lock", path);
    return made;
}

bool file_lock::is_held(const std::filesystem::path& path) noexcept {
    file_lock probe(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    // Shared, so that two who ask at the same time do not take each other for the holder.
    return probe && ::flock(probe.descriptor_, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

void file_lock::release() noexcept {
    if (descriptor_ >= 0)
        ::close(std::exchange(descriptor_, -1));
}

result<data_dir_lock> data_dir_lock::take(const std::filesystem::path& data_dir) {
    std::error_code failed;
    if (std::filesystem::create_directories(data_dir, failed))
        std::filesystem::permissions(data_dir, std::filesystem::perms::owner_all, failed);
    if (failed)
        return failure{errc::unavailable, fmt::format("cannot create the data folder {}: {}",
                                                      data_dir.string(), failed.message())};
    auto held = file_lock::take(data_dir / "serve.lock", fmt::format("process {}", ::getpid()));
    if (held)
        return data_dir_lock(*std::move(held));
    if (held.error().code != errc::conflict)
        return held.error();
    return failure{errc::conflict, fmt::format("another server runs on this data folder: {}",
                                               held.error().message)};
}

} // namespace carillon
