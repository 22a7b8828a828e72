// Base64 (RFC 4648 sections 4 and 5), with padding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/bytes.hpp>

namespace carillon::wire {

enum class base64_alphabet : std::uint8_t {
    standard, // ends with + and /
    url_safe, // ends with - and _
};

std::string base64_encode(bytes_view data, base64_alphabet a = base64_alphabet::standard);
// Strict: the length is a multiple of four, no foreign characters, no spaces, and the unused bits
// are zero.
std::optional<bytes> base64_decode(std::string_view text,
                                   base64_alphabet a = base64_alphabet::standard);

} // namespace carillon::wire
