// Bytes and views of them, and the two conversions between bytes and text.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace carillon {

using bytes = std::vector<std::byte>;
using bytes_view = std::span<const std::byte>;

// The same memory seen the other way; neither checks that bytes are valid UTF-8.
inline bytes_view as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(bytes_view data) noexcept {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

} // namespace carillon
