// Base64 (RFC 4648 section 4), with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/bytes.hpp>

namespace carillon::wire {

std::string base64_encode(bytes_view data);
// Strict: the length is a multiple of four, no foreign characters, no spaces, and the unused bits
// are zero.
std::optional<bytes> base64_decode(std::string_view text);

} // namespace carillon::wire
