// The sending half of RFC 6455: messages to frames, of a server and of a client.
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/ws/mask.hpp"
#include "wire/ws/receiver.hpp"
#include <carillon/base/bytes.hpp>
#include <carillon/base/frame.hpp>

namespace carillon::wire::ws {

// One unfragmented, unmasked frame: header and payload in one allocation. `compressed` sets RSV1: the payload is what
// deflater::compress() returned.
shared_frame make_frame(opcode code, bytes_view payload, bool compressed = false);
inline shared_frame make_text(std::string_view text) {
    return make_frame(opcode::text, as_bytes(text));
}

// A close frame. A code that must not stand on the wire (RFC 6455 7.4.1: 1005, 1006, 1015; or below 1000, or above
// 4999) is programmer error. The reason is cut to 123 bytes without cutting a character, or before its first bad one.
shared_frame make_close(std::uint16_t code, std::string_view reason);

// The same as a client sends them, masked with a key that nobody can guess (section 5.3).
bytes make_masked_frame(opcode code, bytes_view payload, mask_key key);
bytes make_masked_close(std::uint16_t code, std::string_view reason, mask_key key);

} // namespace carillon::wire::ws
