// payload_mark: when a message was published and its number, written into its text and found again
// in whatever a server makes of that text: alone, as a JSON string, or as a member of a larger
// object.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace carillon::bench {

struct payload_mark {
    std::uint64_t sent_ns;
    std::uint32_t sequence;
};

// Makes `out` a JSON object with the mark, filled up to that many bytes:
// {"ts":1,"seq":2,"pad":"xx"}.
void write_mark(std::string& out, payload_mark mark, std::size_t bytes);

// Finds the mark; quotes may be escaped, blanks may follow colons. Nothing where there is none.
std::optional<payload_mark> find_mark(std::string_view text) noexcept;

} // namespace carillon::bench
