// sha256_hex: the SHA-256 of bytes as 64 lower-case hexadecimal digits.
#pragma once

#include <string>
#include <string_view>

namespace carillon::wire {

std::string sha256_hex(std::string_view data);

} // namespace carillon::wire
