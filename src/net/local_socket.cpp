#include "net/local_socket.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <fmt/format.h>

#include <carillon/base/assert.hpp>

namespace carillon::net {

namespace {

constexpr int waiting_connections_max = 64;

failure refused(std::string_view doing, const std::filesystem::path& path) {
    return {errc::unavailable, fmt::format("cannot {} the socket {}: {}", doing, path.string(),
                                           std::generic_category().message(errno))};
}

result<sockaddr_un> address_of(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto& text = path.native();
    if (text.empty() || text.size() >= sizeof address.sun_path)
        return failure{errc::invalid,
                       fmt::format("the path of a unix socket has 1 to 107 bytes: {}", text)};
    text.copy(address.sun_path, text.size());
    return address;
}

local_socket::transfer outcome_of(ssize_t n) noexcept {
    using how = local_socket::outcome;
    if (n > 0)
        return {how::done, static_cast<std::size_t>(n)};
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return {how::not_now, 0};
    return {how::over, 0};
}

} // namespace

result<local_socket> local_socket::listen(const std::filesystem::path& path) {
    auto address = address_of(path);
    if (!address)
        return address.error();
    local_socket made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made)
        return refused("open", path);
    ::unlink(path.c_str());
    // Before bind(): the file is born with this mode, and nobody may connect in between.
    if (::fchmod(made.descriptor_, 0600) != 0 ||
        ::bind(made.descriptor_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) !=
            0)
        return refused("bind", path);
    if (::listen(made.descriptor_, waiting_connections_max) != 0)
        return refused("listen at", path);
    return made;
}

result<local_socket> local_socket::connect(const std::filesystem::path& path) {
    auto address = address_of(path);
    if (!address)
        return address.error();
    local_socket made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made || ::connect(made.descriptor_, reinterpret_cast<const sockaddr*>(&*address),
                           sizeof *address) != 0)
        return refused("connect to", path);
    return made;
}

result<std::pair<local_socket, local_socket>> local_socket::pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return failure{errc::unavailable, fmt::format("cannot open a pair of sockets: {}",
                                                      std::generic_category().message(errno))};
    return std::pair(local_socket(ends[0]), local_socket(ends[1]));
}

local_socket local_socket::accept() const noexcept {
    return local_socket(::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

local_socket::transfer local_socket::receive(std::span<char> into) const noexcept {
    return outcome_of(::recv(descriptor_, into.data(), into.size(), 0));
}

local_socket::transfer local_socket::send(std::string_view from) const noexcept {
    return outcome_of(::send(descriptor_, from.data(), from.size(), MSG_NOSIGNAL));
}

void local_socket::close() noexcept {
    if (descriptor_ >= 0)
        ::close(std::exchange(descriptor_, -1));
}

wake_up::wake_up() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    CARILLON_ASSERT(descriptor_ >= 0, "the kernel has a descriptor left");
}
wake_up::~wake_up() { ::close(descriptor_); }

void wake_up::ring() noexcept {
    const std::uint64_t one = 1;
    const auto written = ::write(descriptor_, &one, sizeof one);
    CARILLON_ASSERT(written == sizeof one || errno == EAGAIN, "an eventfd takes a wake-up");
}

} // namespace carillon::net
