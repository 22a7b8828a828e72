// pattern: a route's path pattern, compiled, and what it captures. Django's converters (django.urls.converters) and its
// rules.
#pragma once

#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/web/routes.hpp>

namespace carillon::web {

class pattern {
public:
    // Throws carillon::error (invalid) for a malformed pattern: unknown converter, doubled name, bad expression.
    explicit pattern(const url_pattern& source);

    // What was captured, in the order of the pattern, if the whole path matches.
    std::optional<name_value_list> match(std::string_view path) const;
    const std::string& text() const noexcept { return text_; }

private:
    enum class kind { literal, integer, text, slug, uuid, rest };
    struct part {
        kind what;
        std::string content; // the literal, or the name of what is captured
    };
    struct compiled_regex {
        std::regex expression;
        std::vector<std::pair<std::string, std::size_t>> names; // and the number of the group
    };
    void add_converter(std::string_view inside);
    bool match_from(std::size_t index, std::string_view rest, name_value_list& captured) const;
    static std::size_t longest(kind what, std::string_view rest) noexcept;
    std::optional<name_value_list> match_regex(std::string_view path) const;

    std::string text_;
    std::vector<part> parts_;
    std::optional<compiled_regex> regex_;
};

} // namespace carillon::web
