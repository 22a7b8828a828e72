// What a client would like: codings, ranges, representations it already has.
#include <algorithm>

#include "wire/http/target.hpp"
#include "wire/http/token.hpp"

namespace carillon::wire::http {

namespace {

// Whether a coding with these parameters has a quality above 0; a malformed quality counts as 0.
bool wanted(list_reader& parameters) noexcept {
    while (const auto parameter = parameters.next()) {
        if (parameter->size() < 2 || to_lower((*parameter)[0]) != 'q' || (*parameter)[1] != '=')
            continue;
        const auto quality = parameter->substr(2);
        const bool sound = !quality.empty() && quality.size() <= 5 &&
                           (quality[0] == '0' || quality[0] == '1') &&
                           quality.find_first_not_of("0123456789.") == std::string_view::npos;
        return sound && quality.find_first_of("123456789") != std::string_view::npos;
    }
    return true;
}

// Digits only; a number beyond 64 bits counts as the largest.
bool parse_number(std::string_view text, std::uint64_t& out) noexcept {
    if (text.empty())
        return false;
    out = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return false;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        out = out > (UINT64_MAX - digit) / 10 ? UINT64_MAX : out * 10 + digit;
    }
    return true;
}

} // namespace

bool accepts_gzip(std::string_view accept_encoding) noexcept {
    bool by_star = false;
    list_reader list(accept_encoding);
    while (const auto element = list.next()) {
        list_reader parts(*element, ';');
        const auto coding = *parts.next();
        if (iequals(coding, "gzip") || iequals(coding, "x-gzip"))
            return wanted(parts);
        if (coding == "*")
            by_star = wanted(parts);
    }
    return by_star;
}

range_kind parse_range(std::string_view header, std::uint64_t size_bytes,
                       byte_range& out) noexcept {
    const auto equals = header.find('=');
    if (equals == std::string_view::npos || !iequals(trim(header.substr(0, equals)), "bytes"))
        return range_kind::none;
    const auto range = trim(header.substr(equals + 1));
    const auto dash = range.find('-');
    if (dash == std::string_view::npos)
        return range_kind::none;
    std::uint64_t first = 0;
    std::uint64_t last = UINT64_MAX;
    const auto last_text = range.substr(dash + 1);
    if (dash == 0) { // the last so many bytes
        if (!parse_number(last_text, last))
            return range_kind::none;
        if (last == 0 || size_bytes == 0)
            return range_kind::unsatisfiable;
        out = {size_bytes - std::min(last, size_bytes), size_bytes - 1};
        return range_kind::one;
    }
    if (!parse_number(range.substr(0, dash), first) ||
        (!last_text.empty() && !parse_number(last_text, last)) || first > last)
        return range_kind::none;
    if (first >= size_bytes)
        return range_kind::unsatisfiable;
    out = {first, std::min(last, size_bytes - 1)};
    return range_kind::one;
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) noexcept {
    if (trim(if_none_match) == "*")
        return true;
    if (etag.starts_with("W/"))
        etag.remove_prefix(2);
    // Tags may hold commas and backslashes, so the quotes lead.
    std::size_t open = 0;
    while ((open = if_none_match.find('"', open)) != std::string_view::npos) {
        const auto close = if_none_match.find('"', open + 1);
        if (close == std::string_view::npos)
            return false;
        if (if_none_match.substr(open, close - open + 1) == etag)
            return true;
        open = close + 1;
    }
    return false;
}

} // namespace carillon::wire::http
