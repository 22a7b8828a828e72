#include "net/socket.hpp"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

namespace carillon::net {

namespace {

// An unplugged cable is noticed within half a minute even where nothing is asked.
constexpr int keepalive_idle_seconds = 15;
constexpr int keepalive_interval_seconds = 5;
constexpr int keepalive_probes = 3;

void set(int fd, int level, int option, int to) noexcept {
    ::setsockopt(fd, level, option, &to, sizeof to);
}

} // namespace

void socket_address::set_port(std::uint16_t port) noexcept {
    if (bytes.ss_family == AF_INET)
        reinterpret_cast<sockaddr_in&>(bytes).sin_port = htons(port);
    else if (bytes.ss_family == AF_INET6)
        reinterpret_cast<sockaddr_in6&>(bytes).sin6_port = htons(port);
}

std::optional<socket_address> numeric_address(const std::string& host, std::uint16_t port) {
    socket_address out;
    auto& v4 = reinterpret_cast<sockaddr_in&>(out.bytes);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out.bytes);
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        out.bytes.ss_family = AF_INET;
        out.size = sizeof v4;
    } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
        out.bytes.ss_family = AF_INET6;
        out.size = sizeof v6;
    } else {
        return std::nullopt;
    }
    out.set_port(port);
    return out;
}

result<socket_address> local_address(const std::string& path) {
    socket_address out;
    auto& local = reinterpret_cast<sockaddr_un&>(out.bytes);
    if (path.empty() || path.size() >= sizeof local.sun_path)
        return failure{errc::invalid, "the path of a unix socket has 1 to 107 bytes"};
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, path.c_str(), path.size() + 1);
    out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return out;
}

result<unique_fd> open_socket(const socket_address& to) {
    const auto family = to.bytes.ss_family;
    unique_fd opened(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!opened)
        return failure{errc::unavailable, std::string("no socket: ") + std::strerror(errno)};
    if (family != AF_UNIX) {
        set(opened.get(), IPPROTO_TCP, TCP_NODELAY, 1);
        set(opened.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
        set(opened.get(), IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_seconds);
        set(opened.get(), IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_seconds);
        set(opened.get(), IPPROTO_TCP, TCP_KEEPCNT, keepalive_probes);
    }
    const auto* address = reinterpret_cast<const sockaddr*>(&to.bytes);
    if (::connect(opened.get(), address, to.size) != 0 && errno != EINPROGRESS)
        return failure{errc::unavailable, std::strerror(errno)};
    return opened;
}

} // namespace carillon::net
