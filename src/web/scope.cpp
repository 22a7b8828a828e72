#include <carillon/web/scope.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "web/text.hpp"
#include "wire/http/target.hpp"
#include <carillon/base/assert.hpp>
#include <carillon/web/request.hpp>
#include <carillon/wire/json.hpp>

namespace carillon {

std::string_view scope::header(std::string_view name) const noexcept {
    for (const auto& [known, content] : headers)
        if (web::equal_ignoring_case(known, name))
            return content;
    return {};
}

bool scope::has_header(std::string_view name) const noexcept {
    return std::ranges::any_of(
        headers, [&](const auto& h) { return web::equal_ignoring_case(h.first, name); });
}

std::optional<std::string> scope::cookie(std::string_view name) const {
    for (auto& [known, content] : wire::http::parse_cookies(header("cookie")))
        if (known == name)
            return std::move(content);
    return {};
}

std::optional<std::string> scope::query(std::string_view name) const {
    for (auto& [known, content] : wire::http::parse_form(query_string))
        if (known == name)
            return std::move(content);
    return {};
}

std::int64_t scope::query_int(std::string_view name, std::int64_t fallback, std::int64_t low,
                              std::int64_t high) const {
    const auto text = query(name);
    if (!text)
        return fallback;
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (problem != std::errc{} || end != text->data() + text->size() || number < low ||
        number > high)
        throw error(errc::invalid,
                    fmt::format("{} must be a whole number from {} to {}", name, low, high));
    return number;
}

const std::string& scope::kwarg(std::string_view name) const {
    const auto found = std::ranges::find(url_kwargs, name, &name_value::first);
    CARILLON_ASSERT(found != url_kwargs.end(), "the route's pattern captures this name");
    return found->second;
}

std::int64_t scope::kwarg_int(std::string_view name) const {
    const auto& text = kwarg(name);
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{} || end != text.data() + text.size())
        throw error(errc::not_found, fmt::format("there is no {} with the number {}", name, text));
    return number;
}

std::string request::content_type() const {
    auto type = header("content-type");
    type = web::trimmed(type.substr(0, type.find(';')));
    return web::lower(type);
}

value request::json() const {
    const auto type = content_type();
    if (!type.empty() && type != "application/json" && !type.ends_with("+json"))
        throw error(errc::unsupported_media, "send JSON with Content-Type: application/json");
    auto parsed = parse_json(body);
    if (!parsed)
        throw error(parsed.error());
    return *std::move(parsed);
}

bool request::wants_html() const {
    const auto accepted = header("accept");
    const auto html = accepted.find("text/html");
    const auto json = accepted.find("application/json");
    return html != std::string_view::npos && (json == std::string_view::npos || html < json);
}

} // namespace carillon
