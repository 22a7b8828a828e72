// Blocking clients for tests: a socket with a deadline, HTTP answers, and a small WebSocket client.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/loop.hpp"
#include "web/text.hpp"
#include "wire/ws/deflate.hpp"
#include "wire/ws/test_frames.hpp"

namespace carillon::web::test {

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
    int fd() const noexcept { return fd_.get(); }
    void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }
    // Ends the connection with a reset, as a killed machine or an unplugged cable would look in the end.
    void reset() {
        const linger at_once{1, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        fd_ = net::unique_fd();
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
    net::unique_fd fd_;
    std::string received_;
};

struct answer {
    int status = 0;
    std::string head;
    std::string body;

    std::string header(std::string_view name) const {
        std::size_t at = head.find("\r\n");
        while (at != std::string::npos && at + 2 < head.size()) {
            const auto end = head.find("\r\n", at + 2);
            const auto line = std::string_view(head).substr(at + 2, end - at - 2);
            const auto colon = line.find(':');
            if (colon != std::string_view::npos && equal_ignoring_case(line.substr(0, colon), name))
                return std::string(trimmed(line.substr(colon + 1)));
            at = end;
        }
        return {};
    }
};

inline answer take_answer(client& from, bool of_head = false) {
    answer got;
    got.head = from.take_through("\r\n\r\n");
    got.status = std::stoi(got.head.substr(9, 3));
    const auto length = got.header("Content-Length");
    if (!of_head && !length.empty())
        got.body = from.take(std::stoul(length));
    return got;
}

// A request with the headers that every browser sends; `more` ends each line with CRLF.
inline std::string request_text(std::string_view method, std::string_view path,
                                std::string_view more = {}, std::string_view body = {}) {
    auto text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" +
                std::string(more);
    if (!body.empty())
        text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + std::string(body);
}

inline answer ask(client& from, std::string_view method, std::string_view path,
                  std::string_view more = {}, std::string_view body = {}) {
    from.send(request_text(method, path, more, body));
    return take_answer(from, method == "HEAD");
}

struct ws_frame {
    int opcode = 0;
    bool compressed = false;
    std::string payload;

    std::uint16_t close_code() const {
        if (payload.size() < 2)
            return 0;
        return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                          static_cast<unsigned char>(payload[1]));
    }
};

class ws_client : public client {
public:
    explicit ws_client(std::uint16_t port, int receive_buffer_bytes = 0)
        : client(port, receive_buffer_bytes) {}

    static std::string handshake(std::string_view path, std::string_view more = {}) {
        return "GET " + std::string(path) +
               " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: "
               "13\r\nOrigin: http://localhost\r\n" +
               std::string(more) + "\r\n";
    }
    // The server's answer to a handshake.
    answer open(std::string_view path, std::string_view more = {}, std::string_view early = {}) {
        send(handshake(path, more) + std::string(early));
        return take_answer(*this);
    }
    void text(std::string_view payload) { send(wire::ws::test::text(payload)); }
    void close(unsigned code) { send(wire::ws::test::close(code)); }

    ws_frame frame() {
        const auto head = take(2);
        ws_frame got;
        got.opcode = head[0] & 0x0f;
        got.compressed = (head[0] & 0x40) != 0;
        std::size_t size = static_cast<unsigned char>(head[1]) & 0x7f;
        if (size >= 126) {
            const auto longer = take(size == 126 ? 2 : 8);
            size = 0;
            for (const char c : longer)
                size = size << 8 | static_cast<unsigned char>(c);
        }
        got.payload = take(size);
        return got;
    }
    // The next text message; pings are skipped.
    std::string message() {
        for (;;) {
            auto got = frame();
            if (got.opcode == 9)
                continue;
            if (got.opcode != 1)
                throw std::runtime_error("another frame than a text: opcode " +
                                         std::to_string(got.opcode) + ", code " +
                                         std::to_string(got.close_code()));
            if (!got.compressed)
                return got.payload;
            bytes inflated;
            inflater_.inflate(as_bytes(got.payload), 1 << 24, inflated);
            return std::string(as_text(inflated));
        }
    }
    // The code of the server's close frame; what comes before it is skipped.
    std::uint16_t close_code() {
        for (;;)
            if (const auto got = frame(); got.opcode == 8)
                return got.close_code();
    }

private:
    wire::ws::inflater inflater_;
};

} // namespace carillon::web::test
