#include "wire/celery/json.hpp"

#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "wire/base64.hpp"
#include "wire/utf8.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

constexpr std::string_view type_key = "__type__", value_key = "__value__";

value wrapper(std::string_view type, value content) {
    object o;
    o.append(std::string(type_key), type);
    o.append(std::string(value_key), std::move(content));
    return o;
}

// Bare words are read as integers that the text does not hold: an integer of JSON has one spelling only, so what stands
// for a word after parsing cannot be mistaken for anything else.
struct bare_word {
    std::string_view spelling;
    double meaning;
};
constexpr std::array<bare_word, 3> bare_words{
    {{"NaN", std::numeric_limits<double>::quiet_NaN()},
     {"-Infinity", -std::numeric_limits<double>::infinity()},
     {"Infinity", std::numeric_limits<double>::infinity()}}};
using stand_ins = std::array<std::uint64_t, 3>;

std::optional<stand_ins> choose_stand_ins(std::string_view text) {
    // Only a text made to provoke it holds one of these numbers.
    constexpr std::uint64_t first = 17'263'524'018'263'945'107u, step = 104'729;
    constexpr int tries = 24;
    stand_ins chosen{};
    std::size_t found = 0;
    for (std::uint64_t i = 0; i < tries && found < chosen.size(); ++i)
        if (const auto n = first + i * step; text.find(fmt::to_string(n)) == std::string_view::npos)
            chosen[found++] = n;
    return found == chosen.size() ? std::optional(chosen) : std::nullopt;
}

bool ends_value(std::string_view text, std::size_t at) noexcept {
    return at >= text.size() ||
           std::string_view(",]} \t\r\n").find(text[at]) != std::string_view::npos;
}
bool begins_value(std::string_view text, std::size_t at) noexcept {
    return at == 0 || std::string_view("[,: \t\r\n").find(text[at - 1]) != std::string_view::npos;
}

// The text with its bare words replaced, or nothing where it has none.
std::optional<std::string> replace_bare_words(std::string_view text, const stand_ins& numbers) {
    std::string out;
    std::size_t copied = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string && c == '\\')
            ++i;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == 'N' || c == 'I' || c == '-') && begins_value(text, i))
            for (std::size_t w = 0; w < bare_words.size(); ++w) {
                const auto spelling = bare_words[w].spelling;
                if (!text.substr(i).starts_with(spelling) || !ends_value(text, i + spelling.size()))
                    continue;
                out.append(text, copied, i - copied);
                out += fmt::to_string(numbers[w]);
                copied = i + spelling.size();
                i = copied - 1;
                break;
            }
    }
    if (copied == 0)
        return {};
    out.append(text, copied);
    return out;
}

// Depth is that of the parser, which refuses deep texts.
void put_back(value& v, const stand_ins& numbers) {
    if (auto* n = v.if_uint64()) {
        for (std::size_t w = 0; w < numbers.size(); ++w)
            if (*n == numbers[w]) {
                v = bare_words[w].meaning;
                return;
            }
    } else if (auto* items = v.if_array()) {
        for (auto& item : *items)
            put_back(item, numbers);
    } else if (auto* members = v.if_object()) {
        object mended;
        mended.reserve(members->size());
        for (const auto& [name, content] : *members) {
            auto copy = content;
            put_back(copy, numbers);
            mended.append(name, std::move(copy));
        }
        *members = std::move(mended);
    }
}

result<value> parse_with_bare_words(std::string_view text) {
    auto parsed = parse_json(text);
    if (parsed || parsed.error().code != errc::bad_request)
        return parsed;
    const auto numbers = choose_stand_ins(text);
    if (!numbers)
        return parsed;
    const auto replaced = replace_bare_words(text, *numbers);
    if (!replaced)
        return parsed;
    auto again = parse_json(*replaced);
    if (!again)
        return parsed; // its position is that of the text as it came
    put_back(*again, *numbers);
    return again;
}

// What a wrapper stands for, where values have a kind for it.
std::optional<value> unwrapped(const object& o) {
    if (o.size() != 2)
        return {};
    const auto *type = o.find(type_key), *content = o.find(value_key);
    if (!type || !content || !content->is_string())
        return {};
    const auto name = type->to_text(), text = content->to_text();
    if (name == "bytes") {
        const auto view = as_bytes(text);
        return value(bytes(view.begin(), view.end()));
    }
    if (name == "base64") {
        auto decoded = base64_decode(text);
        return decoded ? std::optional<value>(*std::move(decoded)) : std::nullopt;
    }
    if (name == "decimal")
        for (const auto& word : bare_words)
            if (text == word.spelling)
                return value(word.meaning);
    return {};
}

bool has_wrapper(const value& v) {
    if (const auto* items = v.if_array()) {
        for (const auto& item : *items)
            if (has_wrapper(item))
                return true;
    } else if (const auto* members = v.if_object()) {
        if (unwrapped(*members))
            return true;
        for (const auto& [name, content] : *members)
            if (has_wrapper(content))
                return true;
    }
    return false;
}

value unwrap(const value& v) {
    if (const auto* items = v.if_array()) {
        array out;
        out.reserve(items->size());
        for (const auto& item : *items)
            out.push_back(unwrap(item));
        return out;
    }
    if (const auto* members = v.if_object()) {
        if (auto plain = unwrapped(*members))
            return *std::move(plain);
        object out;
        out.reserve(members->size());
        for (const auto& [name, content] : *members)
            out.append(name, unwrap(content));
        return out;
    }
    return v;
}

// JSON has no form for it.
bool needs_wrapper(const value& v) noexcept {
    if (v.is_bytes())
        return true;
    if (const auto* d = v.if_double())
        return !std::isfinite(*d);
    if (const auto* items = v.if_array()) {
        for (const auto& item : *items)
            if (needs_wrapper(item))
                return true;
    } else if (const auto* members = v.if_object()) {
        for (const auto& [name, content] : *members)
            if (needs_wrapper(content))
                return true;
    }
    return false;
}

value wrap_double(double d) {
    if (std::isnan(d))
        return wrapper("decimal", "NaN");
    return wrapper("decimal", d < 0 ? "-Infinity" : "Infinity");
}

value wrap(const value& v) {
    if (const auto* data = v.if_bytes())
        return is_utf8(*data) ? wrapper("bytes", as_text(*data))
                              : wrapper("base64", base64_encode(*data));
    if (const auto* d = v.if_double(); d && !std::isfinite(*d))
        return wrap_double(*d);
    if (const auto* items = v.if_array()) {
        array out;
        out.reserve(items->size());
        for (const auto& item : *items)
            out.push_back(wrap(item));
        return out;
    }
    if (const auto* members = v.if_object()) {
        object out;
        out.reserve(members->size());
        for (const auto& [name, content] : *members)
            out.append(name, wrap(content));
        return out;
    }
    return v;
}

} // namespace

result<value> read_json(std::string_view text) {
    auto parsed = parse_with_bare_words(text);
    // Wrappers are rare: most texts are read without a second tree.
    if (parsed && text.find("__type__") != std::string_view::npos && has_wrapper(*parsed))
        return unwrap(*parsed);
    return parsed;
}

std::string write_json(const value& v) { return to_json(needs_wrapper(v) ? wrap(v) : v); }

wrapped_type type_of(const value& v) noexcept {
    const auto* o = v.if_object();
    if (!o || o->size() != 2 || !o->find(value_key))
        return wrapped_type::none;
    const auto* type = o->find(type_key);
    if (!type)
        return wrapped_type::none;
    const auto name = type->to_text();
    if (name == "datetime")
        return wrapped_type::datetime;
    if (name == "date")
        return wrapped_type::date;
    if (name == "time")
        return wrapped_type::time;
    if (name == "decimal")
        return wrapped_type::decimal;
    if (name == "uuid")
        return wrapped_type::uuid;
    return wrapped_type::unknown;
}

std::string to_isoformat(utc_time when) {
    auto text = to_iso8601(when); // …:05.069215Z
    text.pop_back();
    if (text.ends_with(".000000"))
        text.resize(text.size() - 7);
    return text + "+00:00";
}

value wrap_datetime(utc_time when) { return wrapper("datetime", to_isoformat(when)); }

std::optional<utc_time> unwrap_datetime(const value& v) noexcept {
    if (type_of(v) != wrapped_type::datetime)
        return {};
    return from_iso8601(v[value_key].to_text());
}

value wrap_text(std::string_view name, std::string_view text) { return wrapper(name, text); }

value wrap_uuid(std::string_view hex) {
    std::string digits;
    for (char c : hex)
        if (c != '-')
            digits += c;
    object content;
    content.append("hex", std::move(digits));
    return wrapper("uuid", std::move(content));
}

std::string_view wrapped_text(const value& v) noexcept {
    const auto type = type_of(v);
    if (type == wrapped_type::none || type == wrapped_type::unknown)
        return {};
    const auto& content = v[value_key];
    return type == wrapped_type::uuid ? content["hex"].to_text() : content.to_text();
}

} // namespace carillon::wire::celery
