#include "wire/celery/message.hpp"

#include <cmath>

#include <fmt/format.h>

#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

value text_or_null(const std::string& text) { return text.empty() ? value() : value(text); }

// Python writes +00:00 where to_iso8601 writes Z.
value time_or_null(const std::optional<utc_time>& when) {
    if (!when)
        return nullptr;
    auto text = to_iso8601(*when);
    text.pop_back();
    return text + "+00:00";
}

value limit_or_null(const std::optional<double>& seconds) {
    if (!seconds)
        return nullptr;
    if (std::trunc(*seconds) == *seconds && std::abs(*seconds) < 1e15)
        return static_cast<std::int64_t>(*seconds);
    return *seconds;
}

object headers_of(const message& m) {
    object h;
    h.reserve(20 + m.extra.size());
    h.append("lang", m.lang);
    h.append("task", m.task);
    h.append("id", m.id);
    h.append("shadow", text_or_null(m.shadow));
    h.append("eta", time_or_null(m.eta));
    h.append("expires", time_or_null(m.expires));
    h.append("group", text_or_null(m.group));
    h.append("group_index", m.group_index ? value(*m.group_index) : value());
    h.append("retries", m.retries);
    array limits;
    limits.push_back(limit_or_null(m.hard_limit_s));
    limits.push_back(limit_or_null(m.soft_limit_s));
    h.append("timelimit", std::move(limits));
    h.append("root_id", m.root_id.empty() ? m.id : m.root_id);
    h.append("parent_id", text_or_null(m.parent_id));
    h.append("argsrepr", m.argsrepr.empty() ? repr_args(m.args) : m.argsrepr);
    h.append("kwargsrepr", m.kwargsrepr.empty() ? repr_kwargs(m.kwargs) : m.kwargsrepr);
    h.append("origin", m.origin);
    if (m.ignore_result)
        h.append("ignore_result", *m.ignore_result);
    h.append("replaced_task_nesting", m.replaced_task_nesting);
    h.append("stamped_headers", m.stamped_headers);
    h.append("stamps", m.stamps);
    for (const auto& [name, content] : m.extra)
        if (!h.find(name))
            h.append(name, content);
    return h;
}

object properties_of(const message& m) {
    object p;
    p.append("content_type", m.content_type);
    p.append("content_encoding", m.content_encoding);
    p.append("correlation_id", m.correlation_id.empty() ? m.id : m.correlation_id);
    p.append("reply_to", text_or_null(m.reply_to));
    p.append("delivery_mode", m.delivery_mode);
    p.append("priority", m.priority);
    if (!m.expiration.empty())
        p.append("expiration", m.expiration);
    return p;
}

array body_of(const message& m) {
    auto embed = m.embed;
    for (auto name : {"callbacks", "errbacks", "chain", "chord"})
        if (!embed.find(name))
            embed.append(name, nullptr);
    array body;
    body.reserve(3);
    body.emplace_back(m.args);
    body.emplace_back(m.kwargs);
    body.emplace_back(std::move(embed));
    return body;
}

failure malformed(std::string_view what) { return {errc::bad_request, std::string(what)}; }

result<object> parse_object(std::string_view text, std::string_view part) {
    auto parsed = parse_json(text);
    if (!parsed)
        return failure{errc::bad_request, fmt::format("{}: {}", part, parsed.error().message)};
    if (!parsed->is_object())
        return malformed(fmt::format("{} is no JSON object", part));
    return std::move(*parsed->if_object());
}

// Null and absent are empty; another kind is malformed.
result<std::string> read_text(const value& v, std::string_view name) {
    if (v.is_null())
        return std::string();
    if (!v.is_string())
        return malformed(fmt::format("header `{}` is no text", name));
    return std::string(v.to_text());
}

result<std::optional<utc_time>> read_time(const value& v, std::string_view name) {
    if (v.is_null())
        return std::optional<utc_time>();
    auto when = from_iso8601(v.to_text());
    if (!when)
        return malformed(fmt::format("header `{}` is no ISO 8601 time", name));
    return when;
}

result<std::optional<double>> read_limit(const value& v) {
    if (v.is_null())
        return std::optional<double>();
    const double seconds = v.to_double(-1);
    if (!v.is_number() || !std::isfinite(seconds) || seconds < 0)
        return malformed("header `timelimit` holds something other than seconds");
    return std::optional<double>(seconds);
}

bool is_known_header(std::string_view name) noexcept {
    for (std::string_view known :
         {"lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries",
          "timelimit", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result",
          "replaced_task_nesting", "stamped_headers", "stamps"})
        if (name == known)
            return true;
    return false;
}

// Texts whose absence is harmless.
result<void> read_texts(const object& h, message& m) {
    const value absent;
    const std::pair<std::string_view, std::string*> texts[] = {{"lang", &m.lang},
                                                               {"shadow", &m.shadow},
                                                               {"group", &m.group},
                                                               {"root_id", &m.root_id},
                                                               {"parent_id", &m.parent_id},
                                                               {"argsrepr", &m.argsrepr},
                                                               {"kwargsrepr", &m.kwargsrepr},
                                                               {"origin", &m.origin}};
    for (const auto& [name, member] : texts) {
        auto* there = h.find(name);
        auto text = read_text(there ? *there : absent, name);
        if (!text)
            return text.error();
        *member = *std::move(text);
    }
    return {};
}

result<void> read_numbers(const object& h, message& m) {
    const value whole(h);
    if (const auto& index = whole["group_index"]; !index.is_null()) {
        if (!index.if_int64())
            return malformed("header `group_index` is no integer");
        m.group_index = index.to_int();
    }
    const auto& retries = whole["retries"];
    m.retries = retries.to_int();
    if ((!retries.is_null() && !retries.if_int64()) || m.retries < 0)
        return malformed("header `retries` is no count");
    m.replaced_task_nesting = whole["replaced_task_nesting"].to_int();
    if (const auto& limits = whole["timelimit"]; !limits.is_null()) {
        auto* pair = limits.if_array();
        if (!pair || pair->size() != 2)
            return malformed("header `timelimit` is no pair");
        auto hard = read_limit((*pair)[0]), soft = read_limit((*pair)[1]);
        if (!hard || !soft)
            return hard ? soft.error() : hard.error();
        m.hard_limit_s = *hard;
        m.soft_limit_s = *soft;
    }
    return {};
}

result<void> read_headers(const object& h, message& m) {
    const value whole(h);
    if (!h.find("task"))
        return failure{errc::unsupported_media,
                       "no `task` header: a message of protocol 1 or of something else"};
    m.task = whole["task"].to_text();
    m.id = whole["id"].to_text();
    if (m.task.empty() || m.task.size() > task_chars_max)
        return malformed("header `task` is no name of a task");
    if (m.id.empty() || m.id.size() > id_chars_max)
        return malformed("header `id` is missing or too long");
    if (h.find("compression"))
        return failure{errc::unsupported_media, "compressed bodies are not read"};
    if (auto done = read_texts(h, m); !done)
        return done;
    if (auto done = read_numbers(h, m); !done)
        return done;
    auto eta = read_time(whole["eta"], "eta"), expires = read_time(whole["expires"], "expires");
    if (!eta || !expires)
        return eta ? expires.error() : eta.error();
    m.eta = *eta;
    m.expires = *expires;
    if (auto* ignored = whole["ignore_result"].if_bool())
        m.ignore_result = *ignored;
    m.stamped_headers = whole["stamped_headers"];
    if (auto* stamps = whole["stamps"].if_object())
        m.stamps = *stamps;
    for (const auto& [name, content] : h)
        if (!is_known_header(name))
            m.extra.append(name, content);
    return {};
}

result<void> read_properties(const object& p, message& m) {
    const value whole(p);
    m.content_type = whole["content_type"].to_text();
    if (m.content_type != "application/json")
        return failure{errc::unsupported_media,
                       fmt::format("content type `{}` is not read; expected application/json",
                                   m.content_type.substr(0, 80))};
    m.content_encoding = whole["content_encoding"].to_text("utf-8");
    m.correlation_id = whole["correlation_id"].to_text();
    m.reply_to = whole["reply_to"].to_text();
    m.delivery_mode = whole["delivery_mode"].to_int(2);
    m.priority = whole["priority"].to_int();
    m.expiration = whole["expiration"].to_text();
    return {};
}

result<void> read_body(std::string_view text, message& m) {
    auto parsed = parse_json(text);
    if (!parsed)
        return failure{errc::bad_request, "body: " + parsed.error().message};
    auto* parts = parsed->if_array();
    if (!parts || parts->size() != 3)
        return malformed("the body is no array of three: arguments, named arguments, workflow");
    auto* args = (*parts)[0].if_array();
    auto* kwargs = (*parts)[1].if_object();
    auto& embed = (*parts)[2];
    if (!args || !kwargs)
        return malformed("the arguments are no array, or the named arguments no object");
    if (!embed.is_null() && !embed.is_object())
        return malformed("the workflow part of the body is no object");
    m.args = std::move(*args);
    m.kwargs = std::move(*kwargs);
    if (auto* workflow = embed.if_object())
        m.embed = std::move(*workflow);
    return {};
}

} // namespace

result<encoded_message> encode(const message& m) {
    if (m.task.empty() || m.task.size() > task_chars_max)
        return failure{errc::invalid,
                       fmt::format("the name of a task has 1 to {} characters", task_chars_max)};
    if (m.id.empty() || m.id.size() > id_chars_max)
        return failure{errc::invalid,
                       fmt::format("the id of a task has 1 to {} characters", id_chars_max)};
    return encoded_message{to_json(headers_of(m)), to_json(properties_of(m)), to_json(body_of(m))};
}

result<message> decode(std::string_view headers, std::string_view properties,
                       std::string_view body) {
    auto h = parse_object(headers, "headers");
    if (!h)
        return h.error();
    auto p = parse_object(properties, "properties");
    if (!p)
        return p.error();
    message m;
    if (auto done = read_headers(*h, m); !done)
        return done.error();
    if (auto done = read_properties(*p, m); !done)
        return done.error();
    if (auto done = read_body(body, m); !done)
        return done.error();
    return m;
}

} // namespace carillon::wire::celery
