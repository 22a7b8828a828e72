#include "web/pattern.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace carillon::web {

namespace {

// std::regex recurses once per character: longer paths do not match, instead of exhausting the stack.
constexpr std::size_t regex_path_bytes_max = 2000;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_slug(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

// Eight, four, four, four and twelve lower-case hex digits.
std::size_t uuid_length(std::string_view text) noexcept {
    constexpr std::string_view form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (text.size() < form.size())
        return 0;
    for (std::size_t i = 0; i < form.size(); ++i) {
        const char c = text[i];
        const bool fits = form[i] == '-' ? c == '-' : is_digit(c) || (c >= 'a' && c <= 'f');
        if (!fits)
            return 0;
    }
    return form.size();
}

// Python's named groups as ECMAScript's plain ones, and which number each name has.
std::string without_names(const std::string& expression,
                          std::vector<std::pair<std::string, std::size_t>>& names) {
    std::string plain;
    std::size_t groups = 0;
    bool in_class = false;
    for (std::size_t i = 0; i < expression.size(); ++i) {
        const char c = expression[i];
        plain += c;
        if (c == '\\' && i + 1 < expression.size())
            plain += expression[++i];
        else if (c == '[')
            in_class = true;
        else if (c == ']')
            in_class = false;
        else if (c == '(' && !in_class) {
            const bool named = expression.compare(i, 4, "(?P<") == 0;
            if (named || expression[i + 1] != '?')
                ++groups;
            if (named) {
                const auto end = expression.find('>', i);
                if (end == std::string::npos)
                    throw error(errc::invalid,
                                "the name of a group in '" + expression + "' has no end");
                names.emplace_back(expression.substr(i + 4, end - i - 4), groups);
                i = end;
            }
        }
    }
    return plain;
}

} // namespace

pattern::pattern(const url_pattern& source) : text_(source.text) {
    if (source.is_regex) {
        compiled_regex made;
        const auto plain = without_names(source.text, made.names);
        try {
            made.expression = std::regex(plain, std::regex::ECMAScript | std::regex::optimize);
        } catch (const std::regex_error& wrong) {
            throw error(errc::invalid, fmt::format("the route '{}' is no regular expression: {}",
                                                   text_, wrong.what()));
        }
        regex_ = std::move(made);
        return;
    }
    std::string_view rest = text_;
    while (!rest.empty()) {
        const auto open = rest.find('<');
        if (open != 0)
            parts_.push_back({kind::literal, std::string(rest.substr(0, open))});
        if (open == std::string_view::npos)
            return;
        const auto close = rest.find('>', open);
        if (close == std::string_view::npos)
            throw error(errc::invalid, fmt::format("the route '{}' has a < without >", text_));
        add_converter(rest.substr(open + 1, close - open - 1));
        rest.remove_prefix(close + 1);
    }
}

void pattern::add_converter(std::string_view inside) {
    const auto colon = inside.find(':');
    const auto converter = colon == std::string_view::npos ? "str" : inside.substr(0, colon);
    const std::string name(colon == std::string_view::npos ? inside : inside.substr(colon + 1));
    constexpr std::pair<std::string_view, kind> known[] = {{"int", kind::integer},
                                                           {"str", kind::text},
                                                           {"slug", kind::slug},
                                                           {"uuid", kind::uuid},
                                                           {"path", kind::rest}};
    const auto* found =
        std::ranges::find(known, converter, &std::pair<std::string_view, kind>::first);
    if (found == std::end(known))
        throw error(errc::invalid,
                    fmt::format("the route '{}' names an unknown converter: {}", text_, converter));
    for (const auto& earlier : parts_)
        if (earlier.what != kind::literal && earlier.content == name)
            throw error(errc::invalid,
                        fmt::format("the route '{}' captures {} twice", text_, name));
    parts_.push_back({found->second, name});
}

std::size_t pattern::longest(kind what, std::string_view rest) noexcept {
    const auto run = [&](auto fits) {
        return static_cast<std::size_t>(std::ranges::find_if_not(rest, fits) - rest.begin());
    };
    switch (what) {
    case kind::integer: return run(is_digit);
    case kind::slug: return run(is_slug);
    case kind::text: return run([](char c) { return c != '/'; });
    case kind::rest: return run([](char c) { return c != '\n'; });
    case kind::uuid: return uuid_length(rest);
    case kind::literal: break;
    }
    return 0;
}

// Greedy with backtracking, as the regular expressions that Django makes of its converters.
bool pattern::match_from(std::size_t index, std::string_view rest,
                         name_value_list& captured) const {
    if (index == parts_.size())
        return rest.empty();
    const auto& here = parts_[index];
    if (here.what == kind::literal)
        return rest.starts_with(here.content) &&
               match_from(index + 1, rest.substr(here.content.size()), captured);
    const auto shortest = here.what == kind::uuid ? longest(here.what, rest) : std::size_t{1};
    for (auto length = longest(here.what, rest); length >= shortest && length > 0; --length) {
        captured.emplace_back(here.content, rest.substr(0, length));
        if (match_from(index + 1, rest.substr(length), captured))
            return true;
        captured.pop_back();
    }
    return false;
}

std::optional<name_value_list> pattern::match_regex(std::string_view path) const {
    if (path.starts_with('/'))
        path.remove_prefix(1);
    if (path.size() > regex_path_bytes_max)
        return {};
    std::match_results<std::string_view::const_iterator> found;
    if (!std::regex_match(path.begin(), path.end(), found, regex_->expression))
        return {};
    name_value_list captured;
    for (const auto& [name, group] : regex_->names)
        captured.emplace_back(name, found[group].str()); // empty where the group took no part
    return captured;
}

std::optional<name_value_list> pattern::match(std::string_view path) const {
    if (regex_)
        return match_regex(path);
    name_value_list captured;
    if (!match_from(0, path, captured))
        return {};
    return captured;
}

} // namespace carillon::web
