// Targets and forms.
#include "wire/http/target.hpp"

#include <algorithm>

#include "wire/utf8.hpp"

namespace carillon::wire::http {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

// The byte that the escape at `i` stands for, or -1.
int escape_at(std::string_view text, std::size_t i) {
    if (text[i] != '%' || i + 2 >= text.size())
        return -1;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

std::string form_decode(std::string_view text) {
    std::string raw;
    raw.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (const int escaped = escape_at(text, i); escaped >= 0) {
            raw += static_cast<char>(escaped);
            i += 2;
        } else {
            raw += text[i] == '+' ? ' ' : text[i];
        }
    }
    if (is_utf8(as_bytes(raw)))
        return raw;
    std::string out;
    append_replacing(out, raw);
    return out;
}

bool is_unreserved(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

} // namespace

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int escaped = escape_at(text, i);
        if (escaped < 0)
            return std::nullopt;
        out += static_cast<char>(escaped);
        i += 2;
    }
    if (out.find('\0') != std::string::npos || !is_utf8(as_bytes(out)))
        return std::nullopt;
    return out;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(c)) {
            out += c;
            continue;
        }
        out += '%';
        out += hex[static_cast<unsigned char>(c) >> 4];
        out += hex[static_cast<unsigned char>(c) & 15];
    }
    return out;
}

std::optional<target> split_target(std::string_view origin_form) {
    if (!origin_form.starts_with('/'))
        return std::nullopt;
    const auto mark = origin_form.find('?');
    auto path = percent_decode(origin_form.substr(0, mark));
    if (!path)
        return std::nullopt;
    const auto query =
        mark == std::string_view::npos ? std::string_view() : origin_form.substr(mark + 1);
    return target{std::move(*path), query};
}

name_values parse_form(std::string_view text, std::size_t pairs_max) {
    name_values out;
    while (!text.empty() && out.size() < pairs_max) {
        const auto end = std::min(text.find('&'), text.size());
        const auto pair = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (pair.empty())
            continue;
        const auto equals = pair.find('=');
        const auto content =
            equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
        out.emplace_back(form_decode(pair.substr(0, equals)), form_decode(content));
    }
    return out;
}

} // namespace carillon::wire::http
