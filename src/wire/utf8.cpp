#include "wire/utf8.hpp"

#include <array>
#include <cstring>

namespace carillon::wire {

namespace {

// The state between two bytes: how many continuation bytes are due, and the range of the next one.
// Only the byte after a lead byte has a range narrower than 80..BF (RFC 3629 section 4); it keeps
// out overlong forms, surrogates and what is above U+10FFFF.
struct expectation {
    std::uint8_t due;
    std::uint8_t low;
    std::uint8_t high;
};
constexpr std::uint32_t failed_state = 0xffffffff;

constexpr std::uint32_t pack(expectation e) {
    return std::uint32_t{e.due} | std::uint32_t{e.low} << 8 | std::uint32_t{e.high} << 16;
}
constexpr expectation unpack(std::uint32_t state) {
    return {static_cast<std::uint8_t>(state), static_cast<std::uint8_t>(state >> 8),
            static_cast<std::uint8_t>(state >> 16)};
}

// What follows a lead byte of 80 or above; `due` is 0 for a byte that leads nothing.
constexpr expectation after_lead(std::uint8_t lead) {
    if (lead < 0xc2)
        return {0, 0, 0};
    if (lead < 0xe0)
        return {1, 0x80, 0xbf};
    if (lead < 0xf0)
        return {2, static_cast<std::uint8_t>(lead == 0xe0 ? 0xa0 : 0x80),
                static_cast<std::uint8_t>(lead == 0xed ? 0x9f : 0xbf)};
    if (lead < 0xf5)
        return {3, static_cast<std::uint8_t>(lead == 0xf0 ? 0x90 : 0x80),
                static_cast<std::uint8_t>(lead == 0xf4 ? 0x8f : 0xbf)};
    return {0, 0, 0};
}

constexpr auto leads = [] {
    std::array<expectation, 256> table{};
    for (unsigned lead = 0x80; lead < 0x100; ++lead)
        table[lead] = after_lead(static_cast<std::uint8_t>(lead));
    return table;
}();

bool is_continuation(std::uint8_t byte) noexcept { return (byte & 0xc0) == 0x80; }

const std::uint8_t* skip_ascii(const std::uint8_t* p, const std::uint8_t* end) noexcept {
    constexpr std::uint64_t high_bits = 0x8080808080808080;
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    for (; end - p >= 16; p += 16) {
        std::memcpy(&a, p, 8);
        std::memcpy(&b, p + 8, 8);
        if ((a | b) & high_bits)
            break;
    }
    if (end - p >= 8) {
        std::memcpy(&a, p, 8);
        if (!(a & high_bits))
            p += 8;
    }
    while (p != end && *p < 0x80)
        ++p;
    return p;
}

} // namespace

bool utf8_checker::feed(bytes_view piece) noexcept {
    if (state_ == failed_state)
        return false;
    const auto* p = reinterpret_cast<const std::uint8_t*>(piece.data());
    const auto* const end = p + piece.size();
    auto next = unpack(state_);
    bool sound = true;
    while (sound && p != end) {
        if (next.due) { // a character that began in an earlier piece, or that this one cuts
            sound = *p >= next.low && *p <= next.high;
            next = {static_cast<std::uint8_t>(next.due - 1), 0x80, 0xbf};
            ++p;
        } else if (*p < 0x80) {
            if (++p != end && *p < 0x80) // single spaces between other letters are common
                p = skip_ascii(p, end);
        } else {
            const auto after = leads[*p++];
            if (after.due == 0 || end - p < after.due) {
                sound = after.due != 0;
                next = after;
                continue;
            }
            sound = p[0] >= after.low && p[0] <= after.high &&
                    (after.due < 2 || is_continuation(p[1])) &&
                    (after.due < 3 || is_continuation(p[2]));
            p += after.due;
        }
    }
    state_ = !sound ? failed_state : next.due ? pack(next) : 0;
    return sound;
}

bool utf8_checker::complete() const noexcept { return state_ == 0; }

bool is_utf8(bytes_view text) noexcept {
    utf8_checker checker;
    return checker.feed(text) && checker.complete();
}

void append_replacing(std::string& out, std::string_view text) {
    constexpr std::string_view replacement = "\xef\xbf\xbd";
    const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
    const auto* const end = p + text.size();
    while (p != end) {
        const auto* const begin = p;
        p = skip_ascii(p, end);
        out.append(reinterpret_cast<const char*>(begin), static_cast<std::size_t>(p - begin));
        if (p == end)
            return;
        const auto* const character = p;
        auto next = leads[*p++];
        bool sound = next.due != 0;
        for (; next.due && sound;) {
            sound = p != end && *p >= next.low && *p <= next.high;
            if (sound) {
                ++p;
                next = {static_cast<std::uint8_t>(next.due - 1), 0x80, 0xbf};
            }
        }
        if (sound)
            out.append(reinterpret_cast<const char*>(character),
                       static_cast<std::size_t>(p - character));
        else
            out += replacement;
    }
}

void append_code_point(std::string& out, std::uint32_t code_point) {
    const auto tail = [&](int shift) {
        out += static_cast<char>(0x80 | (code_point >> shift & 0x3f));
    };
    if (code_point < 0x80) {
        out += static_cast<char>(code_point);
    } else if (code_point < 0x800) {
        out += static_cast<char>(0xc0 | code_point >> 6);
        tail(0);
    } else if (code_point < 0x10000) {
        out += static_cast<char>(0xe0 | code_point >> 12);
        tail(6);
        tail(0);
    } else {
        out += static_cast<char>(0xf0 | code_point >> 18);
        tail(12);
        tail(6);
        tail(0);
    }
}

} // namespace carillon::wire
