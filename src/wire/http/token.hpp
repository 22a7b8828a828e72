// The small grammar that header fields share (RFC 9110 section 5.6): tokens, optional spaces,
// lists, parameters.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace carillon::wire::http {

namespace detail {
inline constexpr auto token_chars = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view(
             "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();
} // namespace detail

inline bool is_token_char(char c) noexcept {
    return detail::token_chars[static_cast<unsigned char>(c)];
}
bool is_token(std::string_view text) noexcept; // not empty, only token characters
// Of ASCII letters, whatever the locale.
inline char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
std::string to_lower(std::string_view text);
// Asked for every header by everybody who looks for one: most differ in their length already.
inline bool iequals(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (to_lower(a[i]) != to_lower(b[i]))
            return false;
    return true;
}
std::string_view trim(std::string_view text) noexcept; // spaces and tabs

// The pieces between separators, trimmed; a separator inside a quoted text separates nothing. A
// piece may be empty. Reads to its end: `while (auto piece = list.next())`.
class list_reader {
public:
    explicit list_reader(std::string_view text, char separator = ',') noexcept
        : rest_(text), separator_(separator) {}
    std::optional<std::string_view> next() noexcept;

private:
    std::string_view rest_;
    char separator_;
    bool ended_ = false;
};

// Whether the comma-separated list holds this token, in any case.
bool list_has(std::string_view list, std::string_view token) noexcept;

// A parameter's value: a token as it stands, or the content of a quoted text. Nothing when it is
// neither.
std::optional<std::string> parameter_value(std::string_view text);

} // namespace carillon::wire::http
