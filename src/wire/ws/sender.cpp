#include "wire/ws/sender.hpp"

#include <algorithm>
#include <array>

#include <carillon/base/assert.hpp>

namespace carillon::wire::ws {

namespace {

constexpr std::size_t close_reason_bytes_max = 123;

// The longest beginning that fits and is valid UTF-8 with no character cut.
std::string_view fitting_reason(std::string_view reason) noexcept {
    utf8_checker checker;
    std::size_t whole = 0;
    for (std::size_t i = 0; i < std::min(reason.size(), close_reason_bytes_max); ++i) {
        if (!checker.feed(as_bytes(reason.substr(i, 1))))
            break;
        if (checker.complete())
            whole = i + 1;
    }
    return reason.substr(0, whole);
}

} // namespace

shared_frame make_frame(opcode code, bytes_view payload, bool compressed) {
    CARILLON_ASSERT(static_cast<std::uint8_t>(code) < 8 || (payload.size() <= 125 && !compressed),
                    "a control frame is short and not compressed");
    std::array<std::byte, 10> head;
    head[0] = static_cast<std::byte>(0x80 | (compressed ? 0x40 : 0) | static_cast<int>(code));
    const std::uint64_t size = payload.size();
    const std::size_t extra = size < 126 ? 0 : size <= 0xffff ? 2 : 8;
    head[1] = static_cast<std::byte>(extra == 0 ? size : extra == 2 ? 126 : 127);
    for (std::size_t i = 0; i < extra; ++i)
        head[2 + i] = static_cast<std::byte>(size >> 8 * (extra - 1 - i));
    return shared_frame::copy_of(bytes_view(head).first(2 + extra), payload);
}

shared_frame make_close(std::uint16_t code, std::string_view reason) {
    CARILLON_ASSERT(code >= 1000 && code <= 4999 && code != 1005 && code != 1006 && code != 1015,
                    "this close code may stand on the wire");
    std::array<std::byte, 2 + close_reason_bytes_max> payload;
    payload[0] = static_cast<std::byte>(code >> 8);
    payload[1] = static_cast<std::byte>(code & 0xff);
    const auto fitting = as_bytes(fitting_reason(reason));
    std::copy(fitting.begin(), fitting.end(), payload.begin() + 2);
    return make_frame(opcode::close, bytes_view(payload).first(2 + fitting.size()));
}

} // namespace carillon::wire::ws
