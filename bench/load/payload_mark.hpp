// payload_mark: when a message was published and its number, written into its text and found again in whatever a server
// makes of that text: alone, or as a string inside JSON.
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

// Makes `out` a text with the mark, filled up to that many bytes: "ts=1 seq=2 xxxx".
void write_mark(std::string& out, payload_mark mark, std::size_t bytes);

// Finds the mark, wherever in the text. Nothing where there is none.
std::optional<payload_mark> find_mark(std::string_view text) noexcept;

} // namespace carillon::bench
