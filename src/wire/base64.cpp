#include "wire/base64.hpp"

#include <array>

namespace carillon::wire {

namespace {

constexpr std::uint8_t no_digit = 0xff;

struct tables {
    std::array<char, 64> characters{};
    std::array<std::uint8_t, 256> digits{};

    constexpr explicit tables(std::string_view last_two) {
        constexpr std::string_view common =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        digits.fill(no_digit);
        for (std::size_t i = 0; i < characters.size(); ++i) {
            const char c = i < common.size() ? common[i] : last_two[i - common.size()];
            characters[i] = c;
            digits[static_cast<std::uint8_t>(c)] = static_cast<std::uint8_t>(i);
        }
    }
};

constexpr tables standard("+/");
constexpr tables url_safe("-_");

constexpr const tables& tables_of(base64_alphabet a) {
    return a == base64_alphabet::standard ? standard : url_safe;
}

} // namespace

std::string base64_encode(bytes_view data, base64_alphabet a) {
    const auto& characters = tables_of(a).characters;
    std::string out((data.size() + 2) / 3 * 4, '=');
    auto at = [&](std::size_t i) {
        return i < data.size() ? std::to_integer<std::uint32_t>(data[i]) : 0;
    };
    auto* to = out.data();
    for (std::size_t i = 0; i < data.size(); i += 3, to += 4) {
        const std::uint32_t three = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        to[0] = characters[three >> 18];
        to[1] = characters[three >> 12 & 63];
        if (i + 1 < data.size())
            to[2] = characters[three >> 6 & 63];
        if (i + 2 < data.size())
            to[3] = characters[three & 63];
    }
    return out;
}

std::optional<bytes> base64_decode(std::string_view text, base64_alphabet a) {
    if (text.size() % 4 != 0)
        return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    const auto coded = text.substr(0, text.size() - padding);
    const auto& digits = tables_of(a).digits;
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
