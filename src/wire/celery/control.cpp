#include "wire/celery/control.hpp"

#include <algorithm>

#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

// At the position of a '[': whether the class matches, and where it ends; nothing where it is not closed.
struct class_match {
    bool matches;
    std::size_t end; // behind the ']'
};
std::optional<class_match> match_class(std::string_view pattern, std::size_t at, char c) noexcept {
    auto i = at + 1;
    const bool negated = i < pattern.size() && pattern[i] == '!';
    i += negated;
    const auto first = i;
    const auto close = pattern.find(']', first + 1); // a ']' in the first place is a member
    if (close == std::string_view::npos)
        return {};
    const auto u = [](char x) { return static_cast<unsigned char>(x); };
    bool found = false;
    while (i < close) {
        if (i + 2 < close && pattern[i + 1] == '-') {
            found |= u(pattern[i]) <= u(c) && u(c) <= u(pattern[i + 2]);
            i += 3;
        } else {
            found |= pattern[i++] == c;
        }
    }
    return class_match{found != negated, close + 1};
}

// One step of a pattern that is no star: its length, or 0 where it does not match.
std::size_t match_one(std::string_view pattern, std::size_t at, char c) noexcept {
    if (pattern[at] == '?')
        return 1;
    if (pattern[at] == '[')
        if (const auto matched = match_class(pattern, at, c))
            return matched->matches ? matched->end - at : 0;
    return pattern[at] == c ? 1 : 0;
}

result<void> read_destination(const object& body, control_request& r) {
    const auto& destination = at(body, "destination");
    if (destination.is_null())
        return {};
    r.destination.emplace();
    if (destination.is_string()) {
        r.destination->emplace_back(destination.to_text());
        return {};
    }
    const auto* nodes = destination.if_array();
    if (!nodes || nodes->size() > destinations_max)
        return malformed("control: `destination` is no list of nodes");
    for (const auto& node : *nodes)
        r.destination->emplace_back(node.to_text());
    return {};
}

} // namespace

std::int64_t advanced(std::int64_t own, std::int64_t seen) noexcept {
    const auto later = std::max(own, seen);
    return later < INT64_MAX ? later + 1 : later;
}

message_parts encode_request(const control_request& r) {
    object headers;
    headers.append("clock", r.clock);
    headers.append("expires", r.expires == 0 ? value(0) : value(r.expires));
    object body;
    body.append("method", r.method);
    body.append("arguments", r.arguments);
    value destination;
    if (r.destination)
        destination = array(r.destination->begin(), r.destination->end());
    body.append("destination", std::move(destination));
    body.append("pattern", text_or_null(r.pattern));
    body.append("matcher", text_or_null(r.matcher));
    if (r.wants_reply()) {
        body.append("ticket", r.ticket);
        object to;
        to.append("exchange", r.reply_exchange);
        to.append("routing_key", r.reply_routing_key);
        body.append("reply_to", std::move(to));
    }
    return json_parts(std::move(headers), 2, std::move(body));
}

result<control_request> decode_request(const message_parts& parts) {
    auto parsed = json_body(parts, "control");
    if (!parsed)
        return parsed.error();
    const auto* body = parsed->if_object();
    if (!body)
        return malformed("control: the request is no object");
    control_request r;
    r.method = text_of(*body, "method");
    if (r.method.empty())
        return malformed("control: `method` is missing or no text");
    const auto& arguments = at(*body, "arguments");
    if (const auto* named = arguments.if_object())
        r.arguments = *named;
    else if (!arguments.is_null())
        return malformed("control: `arguments` is no object");
    if (auto done = read_destination(*body, r); !done)
        return done.error();
    r.pattern = text_of(*body, "pattern");
    r.matcher = text_of(*body, "matcher");
    if (r.pattern.size() > pattern_chars_max)
        return malformed("control: `pattern` is too long");
    r.ticket = text_of(*body, "ticket");
    const auto& to = at(*body, "reply_to");
    r.reply_exchange = to["exchange"].to_text();
    r.reply_routing_key = to["routing_key"].to_text();
    r.clock = at(parts.headers, "clock").to_int();
    r.expires = at(parts.headers, "expires").to_double();
    return r;
}

result<bool> is_for(const control_request& r, std::string_view node) {
    if (r.destination &&
        std::find(r.destination->begin(), r.destination->end(), node) != r.destination->end())
        return true;
    if (r.pattern.empty())
        return !r.destination;
    if (!r.matcher.empty() && r.matcher != "glob")
        return failure{errc::unsupported_media, "control: only glob patterns are matched"};
    return glob_matches(r.pattern, node);
}

bool glob_matches(std::string_view pattern, std::string_view text) noexcept {
    constexpr auto none = std::string_view::npos;
    std::size_t p = 0, t = 0, star = none, resumed = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resumed = t;
        } else if (const auto step = p < pattern.size() ? match_one(pattern, p, text[t]) : 0) {
            p += step;
            ++t;
        } else if (star != none) {
            // Only the last star has to give: what stands before it has matched already.
            p = star + 1;
            t = ++resumed;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

message_parts encode_reply(const control_reply& r) {
    object headers;
    headers.append("ticket", r.ticket);
    headers.append("clock", r.clock);
    object body;
    body.append(r.node, r.content);
    return json_parts(std::move(headers), 1, std::move(body));
}

result<control_reply> decode_reply(const message_parts& parts) {
    auto parsed = json_body(parts, "control reply");
    if (!parsed)
        return parsed.error();
    const auto* body = parsed->if_object();
    if (!body || body->size() != 1)
        return malformed("control reply: no object with the answer of one node");
    control_reply r;
    r.node = body->begin()->first;
    r.content = body->begin()->second;
    r.ticket = text_of(parts.headers, "ticket");
    r.clock = at(parts.headers, "clock").to_int();
    return r;
}

value ok_reply(const value& content) {
    object o;
    o.append("ok", content);
    return o;
}

value error_reply(std::string_view text) {
    object o;
    o.append("error", text);
    return o;
}

value unknown_command_reply(std::string_view method) {
    auto shown = repr_args({value(method)}); // ('name',)
    shown.replace(shown.size() - 2, 2, ")");
    return error_reply("KeyError" + shown);
}

std::vector<std::string> task_ids(const object& arguments) {
    std::vector<std::string> ids;
    const auto& given = at(arguments, "task_id");
    if (const auto* list = given.if_array()) {
        for (const auto& id : *list)
            if (const auto text = id.to_text(); !text.empty() && text.size() <= id_chars_max)
                ids.emplace_back(text);
    } else if (const auto text = given.to_text(); !text.empty() && text.size() <= id_chars_max) {
        ids.emplace_back(text);
    }
    return ids;
}

} // namespace carillon::wire::celery
