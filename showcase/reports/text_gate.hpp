// Lets valid UTF-8 text through and finds the first byte that is not: a NUL, or a broken sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace showcase::reports {

enum class text_fault : std::uint8_t { none, nul_byte, not_utf8 };

// Fed with pieces of any size; a character may be cut between two pieces. Not thread-safe.
class text_gate {
public:
    struct verdict {
        text_fault fault = text_fault::none;
        std::size_t good_bytes = 0; // bytes of this piece before the offending one
    };

    // Looks at the next piece. After a fault the gate must not be used again.
    verdict feed(std::string_view piece) noexcept;
    // True when the text ended inside a character.
    bool ended_inside_character() const noexcept { return missing_ != 0; }

private:
    bool take(unsigned char byte) noexcept;

    std::uint8_t missing_ = 0; // continuation bytes that must follow
    // The range of the next continuation byte: it excludes overlong forms, surrogates and what is
    // above U+10FFFF.
    std::uint8_t low_ = 0x80;
    std::uint8_t high_ = 0xBF;
};

} // namespace showcase::reports
