// UTF-8 (RFC 3629), checked as it arrives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <carillon/base/bytes.hpp>

namespace carillon::wire {

// Checks text that comes in pieces. Refuses overlong forms, surrogates and what is above U+10FFFF at the first
// byte that makes the text invalid. Four bytes large; runs of ASCII are checked sixteen bytes at a time.
class utf8_checker {
public:
    // False as soon as the text so far cannot be the beginning of valid UTF-8; stays false.
    bool feed(bytes_view piece) noexcept;
    // True when the text so far is whole: no character is cut.
    bool complete() const noexcept;
    void reset() noexcept { state_ = 0; }

private:
    std::uint32_t state_ = 0;
};

bool is_utf8(bytes_view text) noexcept;

// Appends `text` with U+FFFD in place of each longest piece that cannot be UTF-8, as browsers and Python replace.
void append_replacing(std::string& out, std::string_view text);
// Appends the encoding of a code point, which must not be a surrogate.
void append_code_point(std::string& out, std::uint32_t code_point);

} // namespace carillon::wire
