#include "wire/http/token.hpp"

#include <algorithm>

namespace carillon::wire::http {

bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::string to_lower(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        c = to_lower(c);
    return out;
}

std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

std::optional<std::string_view> list_reader::next() noexcept {
    if (ended_)
        return std::nullopt;
    bool quoted = false;
    std::size_t i = 0;
    for (; i < rest_.size(); ++i) {
        if (quoted && rest_[i] == '\\')
            ++i;
        else if (rest_[i] == '"')
            quoted = !quoted;
        else if (!quoted && rest_[i] == separator_)
            break;
    }
    ended_ = i >= rest_.size();
    const auto piece = rest_.substr(0, i);
    rest_.remove_prefix(ended_ ? rest_.size() : i + 1);
    return trim(piece);
}

bool list_has(std::string_view list, std::string_view token) noexcept {
    list_reader reader(list);
    while (const auto piece = reader.next())
        if (iequals(*piece, token))
            return true;
    return false;
}

std::optional<std::string> parameter_value(std::string_view text) {
    if (is_token(text))
        return std::string(text);
    if (text.size() < 2 || text.front() != '"' || text.back() != '"')
        return std::nullopt;
    std::string out;
    const auto inside = text.substr(1, text.size() - 2);
    for (std::size_t i = 0; i < inside.size(); ++i) {
        if (inside[i] == '"' || (inside[i] == '\\' && i + 1 == inside.size()))
            return std::nullopt;
        if (inside[i] == '\\')
            ++i;
        out += inside[i];
    }
    return out;
}

} // namespace carillon::wire::http
