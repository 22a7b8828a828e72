// Where an outgoing socket leads, and how it is opened. Nothing here blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/socket.h>

#include "net/loop.hpp"
#include <carillon/base/result.hpp>

namespace carillon::net {

struct socket_address {
    sockaddr_storage bytes{};
    socklen_t size = 0;

    void set_port(std::uint16_t port) noexcept; // of IPv4 and IPv6
};

// "127.0.0.1", "::1"; nothing for a name.
std::optional<socket_address> numeric_address(const std::string& host, std::uint16_t port);
// errc::invalid for a path that is empty or longer than an address holds (107 bytes).
result<socket_address> local_address(const std::string& path);

// A socket that connects: writable once it has succeeded or failed (SO_ERROR says which). TCP without delay of small
// segments, with keep-alive. errc::unavailable when it fails at once.
result<unique_fd> open_socket(const socket_address& to);

} // namespace carillon::net
