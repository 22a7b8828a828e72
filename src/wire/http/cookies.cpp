// Cookie headers, read as Django reads them.
#include <algorithm>

#include "wire/http/target.hpp"
#include "wire/utf8.hpp"

namespace carillon::wire::http {

namespace {

std::string_view strip(std::string_view text) {
    constexpr std::string_view spaces = " \t\n\r\f\v";
    const auto first = text.find_first_not_of(spaces);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool is_octal(char c, char highest) { return c >= '0' && c <= highest; }

// "\054" is a comma and "\"" a quote; other text in quotes stands for itself.
std::string unquote(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"')
        return std::string(text);
    text = text.substr(1, text.size() - 2);
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
        } else if (i + 3 < text.size() && is_octal(text[i + 1], '3') &&
                   is_octal(text[i + 2], '7') && is_octal(text[i + 3], '7')) {
            append_code_point(out, static_cast<std::uint32_t>((text[i + 1] - '0') * 64 +
                                                              (text[i + 2] - '0') * 8 +
                                                              (text[i + 3] - '0')));
            i += 3;
        } else {
            out += text[++i];
        }
    }
    return out;
}

} // namespace

name_values parse_cookies(std::string_view header) {
    name_values out;
    for (std::size_t begin = 0; begin <= header.size();) {
        const auto end = std::min(header.find(';', begin), header.size());
        const auto piece = header.substr(begin, end - begin);
        begin = end + 1;
        const auto equals = piece.find('=');
        const bool named = equals != std::string_view::npos;
        const auto name = named ? strip(piece.substr(0, equals)) : std::string_view();
        const auto content = strip(named ? piece.substr(equals + 1) : piece);
        if (name.empty() && content.empty())
            continue;
        const auto there = std::find_if(out.begin(), out.end(),
                                        [&](const auto& pair) { return pair.first == name; });
        if (there != out.end())
            there->second = unquote(content);
        else
            out.emplace_back(name, unquote(content));
    }
    return out;
}

} // namespace carillon::wire::http
