// A blocking TCP client for tests: a socket with a deadline.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "net/loop.hpp"

namespace carillon::net::test {

// How long a client waits for anything. Long, since a sanitized server on a busy machine is slow; only failures take
// it.
constexpr int patience_seconds = 20;

class client {
public:
    explicit client(std::uint16_t port, int receive_buffer_bytes = 0)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        if (receive_buffer_bytes > 0)
            ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                         sizeof receive_buffer_bytes);
        const timeval patience{patience_seconds, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("the test server takes no connection");
    }

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0)
                throw std::runtime_error("the server takes no bytes");
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    // What the socket takes at once. False when it takes nothing.
    bool send_some(std::string_view bytes) {
        return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
    }
    // True when nothing that the server sent is here at this moment.
    bool nothing_waits() {
        char one;
        return received_.empty() && ::recv(fd_.get(), &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
               errno == EAGAIN;
    }
    int fd() const noexcept { return fd_.get(); }
    void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }
    // Ends the connection with a reset, as a killed machine or an unplugged cable would look in the end.
    void reset() {
        const linger at_once{1, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        fd_ = unique_fd();
    }

    // False at the end of what the server sends; throws when nothing comes in time.
    bool fill() {
        char piece[16 * 1024];
        const auto got = ::recv(fd_.get(), piece, sizeof piece, 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            throw std::runtime_error("the server sent nothing in time");
        if (got > 0)
            received_.append(piece, static_cast<std::size_t>(got));
        return got > 0;
    }
    std::string take(std::size_t size) {
        while (received_.size() < size)
            if (!fill())
                throw std::runtime_error("the server closed the connection too early");
        auto taken = received_.substr(0, size);
        received_.erase(0, size);
        return taken;
    }
    std::string take_through(std::string_view mark) {
        for (;;) {
            if (const auto at = received_.find(mark); at != std::string::npos)
                return take(at + mark.size());
            if (!fill())
                throw std::runtime_error("the server closed the connection too early");
        }
    }
    std::string take_all() {
        while (fill()) {
        }
        return std::exchange(received_, {});
    }
    // True when the server closes without sending anything more.
    bool closed() { return received_.empty() && !fill(); }

private:
    unique_fd fd_;
    std::string received_;
};

} // namespace carillon::net::test
