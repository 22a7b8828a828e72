#include "wire/celery/envelope.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "wire/base64.hpp"
#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

object delivery_info_of(const envelope& e) {
    object info;
    info.append("exchange", e.exchange);
    info.append("routing_key", e.routing_key);
    if (e.redelivered)
        info.append("redelivered", true);
    for (const auto& [name, content] : e.delivery_extra)
        if (!info.find(name))
            info.append(name, content);
    return info;
}

bool is_envelope_property(std::string_view name) noexcept {
    return name == "content_type" || name == "content_encoding" || name == "delivery_info" ||
           name == "body_encoding" || name == "delivery_tag";
}

// Celery's worker takes a number as delivery tag.
std::string tag_of(const object& properties) {
    const auto* tag = properties.find("delivery_tag");
    if (!tag)
        return {};
    if (const auto* n = tag->if_int64())
        return fmt::to_string(*n);
    return std::string(tag->to_text());
}

result<void> read_delivery(const object& properties, envelope& e) {
    const auto* there = properties.find("delivery_info");
    const auto* info = there ? there->if_object() : nullptr;
    if (!info)
        return malformed("envelope: `properties.delivery_info` is missing or no object");
    const auto *exchange = info->find("exchange"), *key = info->find("routing_key");
    // Null is how some clients name the default exchange.
    if (!exchange || !(exchange->is_string() || exchange->is_null()))
        return malformed("envelope: `delivery_info.exchange` is missing or no text");
    if (!key || !(key->is_string() || key->is_null()))
        return malformed("envelope: `delivery_info.routing_key` is missing or no text");
    e.exchange = exchange->to_text();
    e.routing_key = key->to_text();
    for (const auto& [name, content] : *info)
        if (name == "redelivered")
            e.redelivered = content.to_bool();
        else if (name != "exchange" && name != "routing_key")
            e.delivery_extra.append(name, content);
    e.delivery_tag = tag_of(properties);
    if (e.delivery_tag.empty())
        return malformed("envelope: `properties.delivery_tag` is missing or no text");
    return {};
}

result<std::string> open_body(std::string_view body, const value& encoding) {
    const auto name = encoding.to_text();
    if (encoding.is_null() || name == "utf-8")
        return std::string(body);
    if (name != "base64")
        return failure{errc::unsupported_media,
                       fmt::format("envelope: body encoding `{}` is not read; expected base64",
                                   encoding.to_text("of another kind").substr(0, 80))};
    auto decoded = base64_decode(body);
    if (!decoded)
        return malformed("envelope: the body is no base64");
    return std::string(as_text(*decoded));
}

result<envelope> envelope_of(object&& element) {
    const auto* properties = at(element, "properties").if_object();
    if (!properties)
        return malformed("envelope: `properties` is missing or no object");
    if (!at(element, "body").is_string())
        return malformed("envelope: `body` is missing or no text");
    auto* headers = element.find("headers");
    if (headers && !headers->is_null() && !headers->is_object())
        return malformed("envelope: `headers` is no object");
    envelope e;
    if (auto done = read_delivery(*properties, e); !done)
        return done.error();
    auto body = open_body(at(element, "body").to_text(), at(*properties, "body_encoding"));
    if (!body)
        return body.error();
    e.parts.body = *std::move(body);
    for (auto [name, key] : {std::pair{"content_type", "content-type"},
                             std::pair{"content_encoding", "content-encoding"}})
        if (const auto& content = at(element, key); !content.is_null())
            e.parts.properties.append(name, content);
    for (const auto& [name, content] : *properties)
        if (!is_envelope_property(name))
            e.parts.properties.append(name, content);
    if (headers && headers->is_object())
        e.parts.headers = std::move(*headers->if_object());
    return e;
}

} // namespace

result<std::string> encode_envelope(envelope e) {
    if (e.delivery_tag.empty())
        return failure{errc::invalid, "an envelope needs a delivery tag"};
    const auto& given = e.parts.properties;
    object properties;
    properties.reserve(given.size() + 3);
    for (const auto& [name, content] : given)
        if (!is_envelope_property(name))
            properties.append(name, content);
    properties.append("delivery_info", delivery_info_of(e));
    properties.append("body_encoding", "base64");
    properties.append("delivery_tag", std::move(e.delivery_tag));
    object element;
    element.reserve(5);
    element.append("body", base64_encode(as_bytes(e.parts.body)));
    element.append("content-encoding", at(given, "content_encoding"));
    element.append("content-type", at(given, "content_type"));
    element.append("headers", std::move(e.parts.headers));
    element.append("properties", std::move(properties));
    return write_json(std::move(element));
}

result<envelope> decode_envelope(std::string_view element) {
    auto parsed = parse_object(element, "envelope");
    return parsed ? envelope_of(*std::move(parsed)) : parsed.error();
}

std::string encode_unacked(std::string_view element, std::string_view exchange,
                           std::string_view routing_key) {
    return fmt::format("[{}, {}, {}]", element, write_json(exchange), write_json(routing_key));
}

result<unacked_entry> decode_unacked(std::string_view text) {
    auto parsed = read_json(text);
    if (!parsed)
        return failure{parsed.error().code, "unacked entry: " + parsed.error().message};
    auto* parts = parsed->if_array();
    if (!parts || parts->size() != 3 || !(*parts)[0].is_object())
        return malformed("unacked entry: no array of an envelope, an exchange and a routing key");
    auto delivered = envelope_of(std::move(*(*parts)[0].if_object()));
    if (!delivered)
        return delivered.error();
    return unacked_entry{*std::move(delivered), std::string((*parts)[1].to_text()),
                         std::string((*parts)[2].to_text())};
}

result<std::string> restored_element(envelope e) {
    e.redelivered = true;
    e.parts.headers.set("redelivered", true);
    return encode_envelope(std::move(e));
}

redis_names::redis_names(options o) : options_(std::move(o)) {
    if (options_.steps.empty())
        options_.steps.push_back(0);
}

std::int64_t redis_names::step_of(std::int64_t priority) const noexcept {
    const auto clamped = std::clamp<std::int64_t>(priority, 0, 9);
    const auto& steps = options_.steps;
    const auto above = std::upper_bound(steps.begin(), steps.end(), clamped);
    return above == steps.begin() ? steps.back() : *(above - 1);
}

std::string redis_names::queue(std::string_view queue, std::int64_t priority) const {
    return list_of(queue, step_of(priority));
}

std::string redis_names::list_of(std::string_view queue, std::int64_t step) const {
    if (step == 0)
        return fmt::format("{}{}", options_.keyprefix, queue);
    return fmt::format("{}{}{}{}", options_.keyprefix, queue, options_.separator, step);
}

std::vector<std::string> redis_names::queues(std::span<const std::string_view> queues) const {
    std::vector<std::string> keys;
    keys.reserve(queues.size() * options_.steps.size());
    for (const auto step : options_.steps)
        for (const auto name : queues)
            keys.push_back(list_of(name, step));
    return keys;
}

std::string redis_names::binding(std::string_view exchange) const {
    return fmt::format("{}_kombu.binding.{}", options_.keyprefix, exchange);
}

std::string redis_names::binding_member(const bound_queue& b) const {
    return fmt::format("{}{}{}{}{}", b.routing_key, options_.separator, b.pattern,
                       options_.separator, b.queue);
}

result<redis_names::bound_queue> redis_names::read_binding_member(std::string_view member) const {
    const auto& sep = options_.separator;
    const auto first = member.find(sep);
    const auto second = first == member.npos ? member.npos : member.find(sep, first + sep.size());
    if (second == member.npos || member.find(sep, second + sep.size()) != member.npos)
        return malformed("binding: no routing key, pattern and queue");
    return bound_queue{std::string(member.substr(0, first)),
                       std::string(member.substr(first + sep.size(), second - first - sep.size())),
                       std::string(member.substr(second + sep.size()))};
}

std::string redis_names::unacked() const { return options_.keyprefix + "unacked"; }
std::string redis_names::unacked_index() const { return options_.keyprefix + "unacked_index"; }
std::string redis_names::unacked_mutex() const { return options_.keyprefix + "unacked_mutex"; }

std::string redis_names::fanout(std::string_view exchange, std::string_view routing_key) const {
    auto name = fmt::format("{}/{}.{}", options_.keyprefix, options_.database, exchange);
    if (routing_key.empty())
        return name;
    name += '/';
    for (char c : routing_key)
        name += c == '#' ? '*' : c;
    return name;
}

} // namespace carillon::wire::celery
