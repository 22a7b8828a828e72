// What a WebSocket client writes, for tests: masked frames, sound and broken.
#pragma once

#include <string>
#include <string_view>

#include "wire/ws/mask.hpp"

namespace carillon::wire::ws::test {

inline constexpr mask_key default_key = {0x37, 0xfa, 0x21, 0x3d};

// A masked frame. `first` is its first byte: FIN, reserved bits and opcode.
inline std::string frame(unsigned first, std::string payload, mask_key key = default_key) {
    std::string out(1, static_cast<char>(first));
    const auto size = payload.size();
    const int extra = size < 126 ? 0 : size <= 0xffff ? 2 : 8;
    out += static_cast<char>(0x80 | (extra == 0 ? size : extra == 2 ? 126u : 127u));
    for (int i = extra - 1; i >= 0; --i)
        out += static_cast<char>(std::uint64_t{size} >> 8 * i);
    out.append(reinterpret_cast<const char*>(key.data()), 4);
    apply_mask(std::as_writable_bytes(std::span(payload)), key);
    return out + payload;
}

inline std::string text(std::string_view s) { return frame(0x81, std::string(s)); }
inline std::string binary(std::string_view s) { return frame(0x82, std::string(s)); }
inline std::string ping(std::string_view s) { return frame(0x89, std::string(s)); }
inline std::string pong(std::string_view s) { return frame(0x8a, std::string(s)); }
inline std::string close(unsigned code, std::string_view reason = {}) {
    const char head[] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    return frame(0x88, std::string(head, 2) + std::string(reason));
}

} // namespace carillon::wire::ws::test
