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

// What stands before the payload, without a key.
struct head {
    std::array<std::byte, 10> memory;
    std::size_t size = 0;

    head(opcode code, std::size_t payload_bytes, bool compressed) {
        CARILLON_ASSERT(static_cast<std::uint8_t>(code) < 8 ||
                            (payload_bytes <= 125 && !compressed),
                        "a control frame is short and not compressed");
        memory[0] = static_cast<std::byte>(0x80 | (compressed ? 0x40 : 0) | static_cast<int>(code));
        const std::uint64_t length = payload_bytes;
        const std::size_t extra = length < 126 ? 0 : length <= 0xffff ? 2 : 8;
        memory[1] = static_cast<std::byte>(extra == 0 ? length : extra == 2 ? 126 : 127);
        for (std::size_t i = 0; i < extra; ++i)
            memory[2 + i] = static_cast<std::byte>(length >> 8 * (extra - 1 - i));
        size = 2 + extra;
    }
    bytes_view view() const noexcept { return bytes_view(memory).first(size); }
};

struct close_payload {
    std::array<std::byte, 2 + close_reason_bytes_max> memory;
    std::size_t size = 0;

    close_payload(std::uint16_t code, std::string_view reason) {
        CARILLON_ASSERT(code >= 1000 && code <= 4999 && code != 1005 && code != 1006 &&
                            code != 1015,
                        "this close code may stand on the wire");
        memory[0] = static_cast<std::byte>(code >> 8);
        memory[1] = static_cast<std::byte>(code & 0xff);
        const auto fitting = as_bytes(fitting_reason(reason));
        std::ranges::copy(fitting, memory.begin() + 2);
        size = 2 + fitting.size();
    }
    bytes_view view() const noexcept { return bytes_view(memory).first(size); }
};

} // namespace

shared_frame make_frame(opcode code, bytes_view payload, bool compressed) {
    return shared_frame::copy_of(head(code, payload.size(), compressed).view(), payload);
}

shared_frame make_close(std::uint16_t code, std::string_view reason) {
    return make_frame(opcode::close, close_payload(code, reason).view());
}

bytes make_masked_frame(opcode code, bytes_view payload, mask_key key) {
    const head plain(code, payload.size(), false);
    bytes frame(plain.view().begin(), plain.view().end());
    frame[1] |= std::byte{0x80};
    frame.reserve(frame.size() + key.size() + payload.size());
    const auto key_bytes = std::as_bytes(std::span(key));
    frame.insert(frame.end(), key_bytes.begin(), key_bytes.end());
    frame.insert(frame.end(), payload.begin(), payload.end());
    apply_mask(std::span(frame).last(payload.size()), key);
    return frame;
}

bytes make_masked_close(std::uint16_t code, std::string_view reason, mask_key key) {
    return make_masked_frame(opcode::close, close_payload(code, reason).view(), key);
}

} // namespace carillon::wire::ws
