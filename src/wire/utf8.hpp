// UTF-8 (RFC 3629), checked as it arrives.
#pragma once

#include <cstdint>

#include <carillon/base/bytes.hpp>

namespace carillon::wire {

// Checks text that comes in pieces. Refuses overlong forms, surrogates and what is above U+10FFFF at the first byte that
// makes the text invalid. Four bytes large; runs of ASCII are checked eight bytes at a time.
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

} // namespace carillon::wire
