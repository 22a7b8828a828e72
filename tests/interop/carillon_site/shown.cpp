#include "interop/carillon_site/shown.hpp"

#include <carillon/base/error.hpp>

namespace cr = carillon;

namespace interop {

namespace {

constexpr std::string_view hex_member = "__bytes_hex__";
constexpr std::string_view digits = "0123456789abcdef";

std::string to_hex(const cr::bytes& data) {
    std::string text;
    for (const auto one : data) {
        text += digits[std::to_integer<std::size_t>(one >> 4)];
        text += digits[std::to_integer<std::size_t>(one & std::byte{15})];
    }
    return text;
}

std::size_t digit(char c) {
    const auto at = digits.find(c);
    if (at == std::string_view::npos)
        throw cr::error(cr::errc::invalid, "bytes are written as lower-case hexadecimal digits");
    return at;
}

cr::bytes from_hex(std::string_view text) {
    if (text.size() % 2 != 0)
        throw cr::error(cr::errc::invalid, "bytes have two digits each");
    cr::bytes data;
    for (std::size_t at = 0; at < text.size(); at += 2)
        data.push_back(static_cast<std::byte>(digit(text[at]) * 16 + digit(text[at + 1])));
    return data;
}

template <class F>
cr::value with_each(const cr::value& content, F change) {
    if (const auto* items = content.if_array()) {
        cr::array changed;
        for (const auto& one : *items)
            changed.push_back(change(one));
        return changed;
    }
    if (const auto* members = content.if_object()) {
        cr::object changed;
        for (const auto& [name, one] : *members)
            changed.set(name, change(one));
        return changed;
    }
    return content;
}

} // namespace

cr::value shown(const cr::value& content) {
    if (const auto* data = content.if_bytes())
        return cr::object{{hex_member, to_hex(*data)}};
    return with_each(content, [](const cr::value& one) { return shown(one); });
}

cr::value shown(const cr::event& e) {
    cr::object all{{"type", e.type()}};
    for (const auto& [name, one] : e.members())
        all.set(name, shown(one));
    return all;
}

cr::value meant(const cr::value& content) {
    const auto* members = content.if_object();
    if (members && members->size() == 1 && members->find(hex_member))
        return from_hex(content[hex_member].to_text());
    return with_each(content, [](const cr::value& one) { return meant(one); });
}

cr::event meant_event(const cr::value& content) {
    const auto* members = content.if_object();
    if (!members || !content["type"].is_string())
        throw cr::error(cr::errc::invalid, "an event is an object with a text \"type\"");
    cr::object rest;
    for (const auto& [name, one] : *members)
        if (name != "type")
            rest.set(name, meant(one));
    return {std::string(content["type"].to_text()), std::move(rest)};
}

} // namespace interop
