// file_lock: a lock file that lives and dies with the process holding it, also when that is killed.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include <carillon/base/result.hpp>

namespace carillon {

// An exclusive flock(2) on a file of mode 0600. The kernel lets go of it when the process ends, however it ends.
// Local file systems only.
class file_lock {
public:
    file_lock() = default;
    file_lock(file_lock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    file_lock& operator=(file_lock&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~file_lock() { release(); }

    // Takes the lock of `path`, which is created when it is not there; `content` is written into it for people.
    // errc::conflict when somebody holds it: the message ends with the holder's content.
    static result<file_lock> take(const std::filesystem::path& path, const std::string& content);
    // The same for a new file that nobody may see unlocked: it appears under its name already locked.
    static result<file_lock> create(const std::filesystem::path& path, const std::string& content);
    // True when somebody holds the lock of `path`; false when nobody does, or there is no such file.
    static bool is_held(const std::filesystem::path& path) noexcept;

    void release() noexcept;
    explicit operator bool() const noexcept { return descriptor_ >= 0; }

private:
    explicit file_lock(int descriptor) : descriptor_(descriptor) {}
    int descriptor_ = -1;
};

// What `serve` holds while it runs: one live server per data folder. Creates the folder with mode 0700 where it is
// missing. errc::conflict names the process that holds it.
class data_dir_lock {
public:
    static result<data_dir_lock> take(const std::filesystem::path& data_dir);

private:
    explicit data_dir_lock(file_lock held) : held_(std::move(held)) {}
    file_lock held_;
};

} // namespace carillon
