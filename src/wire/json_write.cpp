// Writing JSON.
#include <array>
#include <charconv>
#include <cmath>

#include "wire/base64.hpp"
#include "wire/utf8.hpp"
#include <carillon/wire/json.hpp>

namespace carillon {

namespace {

void append_escape(std::string& out, unsigned char c) {
    constexpr std::string_view hex = "0123456789abcdef";
    switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\b': out += "\\b"; break;
    case '\f': out += "\\f"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    case '/': out += "\\/"; break;
    default:
        out += "\\u00";
        out += hex[c >> 4];
        out += hex[c & 15];
    }
}

template <class Number>
void append_number(std::string& out, Number n) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
    out.append(digits.data(), end);
}

void append_double(std::string& out, double d) {
    if (!std::isfinite(d)) {
        out += "null";
        return;
    }
    const auto begin = out.size();
    append_number(out, d);
    // A whole double stays a double for whoever reads it.
    if (out.find_first_of(".e", begin) == std::string::npos)
        out += ".0";
}

void append_array(std::string& out, const array& items) {
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (i)
            out += ',';
        append_json(out, items[i]);
    }
    out += ']';
}

void append_object(std::string& out, const object& members) {
    out += '{';
    bool first = true;
    for (const auto& [name, content] : members) {
        if (!first)
            out += ',';
        first = false;
        append_json_string(out, name);
        out += ':';
        append_json(out, content);
    }
    out += '}';
}

} // namespace

void append_json_string(std::string& out, std::string_view text) {
    std::string repaired;
    if (!wire::is_utf8(as_bytes(text))) {
        wire::append_replacing(repaired, text);
        text = repaired;
    }
    out += '"';
    std::size_t copied = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool after_less = i > 0 && text[i - 1] == '<';
        if (c >= 0x20 && c != '"' && c != '\\' && !(after_less && (c == '/' || c == '!')))
            [[likely]]
            continue;
        out.append(text, copied, i - copied);
        append_escape(out, c);
        copied = i + 1;
    }
    out.append(text, copied);
    out += '"';
}

void append_json(std::string& out, const value& v) {
    if (v.is_null())
        out += "null";
    else if (const auto* b = v.if_bool())
        out += *b ? "true" : "false";
    else if (const auto* i = v.if_int64())
        append_number(out, *i);
    else if (const auto* u = v.if_uint64())
        append_number(out, *u);
    else if (const auto* d = v.if_double())
        append_double(out, *d);
    else if (const auto* text = v.if_string())
        append_json_string(out, *text);
    else if (const auto* data = v.if_bytes())
        append_json_string(out, wire::base64_encode(*data));
    else if (const auto* items = v.if_array())
        append_array(out, *items);
    else if (const auto* members = v.if_object())
        append_object(out, *members);
}

std::string to_json(const value& v) {
    std::string out;
    append_json(out, v);
    return out;
}

} // namespace carillon
