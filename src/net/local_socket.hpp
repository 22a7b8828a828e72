// local_socket: a stream socket of the unix family, blocking nobody: what the event relay between processes stands on.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include <carillon/base/result.hpp>

namespace carillon::net {

// Owns one descriptor, which never blocks. Not thread-safe.
class local_socket {
public:
    local_socket() = default;
    explicit local_socket(int opened) noexcept : descriptor_(opened) {}
    local_socket(local_socket&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)) {}
    local_socket& operator=(local_socket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~local_socket() { close(); }

    // Listens at a path, with a socket file of mode 0600; a file that is there is replaced. errc::invalid for a path
    // that is empty or longer than an address holds (107 bytes), errc::unavailable.
    static result<local_socket> listen(const std::filesystem::path& path);
    static result<local_socket> connect(const std::filesystem::path& path);
    // Two that are connected to each other. errc::unavailable when no descriptor is left.
    static result<std::pair<local_socket, local_socket>> pair();
    // The next connection, or one that is not open where nobody waits.
    local_socket accept() const noexcept;

    enum class outcome : std::uint8_t { done, not_now, over };
    struct transfer {
        outcome how = outcome::over;
        std::size_t bytes = 0;
    };
    transfer receive(std::span<char> into) const noexcept;
    transfer send(std::string_view from) const noexcept;

    void close() noexcept;
    // Gives the descriptor away.
    int release() noexcept { return std::exchange(descriptor_, -1); }
    int descriptor() const noexcept { return descriptor_; }
    explicit operator bool() const noexcept { return descriptor_ >= 0; }

private:
    int descriptor_ = -1;
};

// Ends the poll() of another thread.
class wake_up {
public:
    wake_up();
    ~wake_up();
    wake_up(const wake_up&) = delete;
    wake_up& operator=(const wake_up&) = delete;
    void ring() noexcept;
    int descriptor() const noexcept { return descriptor_; } // readable once rung

private:
    int descriptor_;
};

} // namespace carillon::net
