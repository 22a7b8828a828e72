// The client's half of RFC 6455, as far as a load generator needs it: masked frames out, frame
// heads in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace carillon::bench {

enum class opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10
};

// Appends a final frame with that payload, masked with `key`.
void append_masked(std::string& out, opcode op, std::string_view payload, std::uint32_t key);

struct frame_head {
    enum class state { complete, incomplete, invalid } found = state::incomplete;
    bool final = false;
    opcode op = opcode::continuation;
    std::size_t head_bytes = 0; // 2 to 10
    std::uint64_t payload_bytes = 0;
};

// Reads the head of a server's frame (section 5.2). Invalid: masked, a reserved bit, an unknown
// opcode. `incomplete` also where the payload has not arrived whole.
frame_head parse_frame(std::string_view data) noexcept;

// RFC 6455 section 4.2.2: what the server answers to that key.
std::string accept_value(std::string_view key);
// A fresh Sec-WebSocket-Key made from that number.
std::string make_key(std::uint64_t number);

// Where to: scheme://ADDRESS:PORT/PATH with a numeric IPv4 address (`localhost` means 127.0.0.1).
struct target {
    std::string scheme, host, path;
    std::uint16_t port = 0;
    std::string authority() const { return host + ":" + std::to_string(port); }
};
// Throws usage_error where the text is no such address.
target parse_target(std::string_view url);

} // namespace carillon::bench
