// What a test's client reads and writes: HTTP requests and answers, and a small WebSocket client.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "net/test_client.hpp"
#include "web/text.hpp"
#include "wire/ws/deflate.hpp"
#include "wire/ws/test_frames.hpp"

namespace carillon::web::test {

using net::test::client;
using net::test::patience_seconds;

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
