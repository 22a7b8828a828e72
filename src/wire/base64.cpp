#include "wire/base64.hpp"

#include <array>
#include <cstdint>

namespace carillon::wire {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_digit = 0xff;

constexpr auto digits = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(no_digit);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        table[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return table;
}();

} // namespace

std::string base64_encode(bytes_view data) {
    std::string out;
    out.reserve((data.size() + 2) / 3 * 4);
    auto at = [&](std::size_t i) {
        return i < data.size() ? std::to_integer<std::uint32_t>(data[i]) : 0;
    };
    for (std::size_t i = 0; i < data.size(); i += 3) {
        const std::uint32_t three = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        out += alphabet[three >> 18];
        out += alphabet[three >> 12 & 63];
        out += i + 1 < data.size() ? alphabet[three >> 6 & 63] : '=';
        out += i + 2 < data.size() ? alphabet[three & 63] : '=';
    }
    return out;
}

std::optional<bytes> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0)
        return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    const auto coded = text.substr(0, text.size() - padding);
    bytes out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t held = 0;
    int bits = 0;
    for (const char c : coded) {
        const auto digit = digits[static_cast<std::uint8_t>(c)];
        if (digit == no_digit)
            return std::nullopt;
        held = held << 6 | digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push_back(static_cast<std::byte>(held >> bits));
            held &= (1u << bits) - 1;
        }
    }
    if (held != 0)
        return std::nullopt;
    return out;
}

} // namespace carillon::wire
