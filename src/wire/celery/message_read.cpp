// Reading task messages.
#include <cmath>

#include <fmt/format.h>

#include "wire/celery/json.hpp"
#include "wire/celery/legacy.hpp"
#include "wire/celery/parts.hpp"
#include "wire/gzip.hpp"

namespace carillon::wire::celery {

namespace {

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
    for (std::string_view known : {"lang",
                                   "task",
                                   "id",
                                   "shadow",
                                   "eta",
                                   "expires",
                                   "group",
                                   "group_index",
                                   "retries",
                                   "timelimit",
                                   "root_id",
                                   "parent_id",
                                   "argsrepr",
                                   "kwargsrepr",
                                   "origin",
                                   "ignore_result",
                                   "replaced_task_nesting",
                                   "stamped_headers",
                                   "stamps",
                                   "compression",
                                   "redelivered"})
        if (name == known)
            return true;
    return false;
}

// Texts whose absence is harmless.
result<void> read_texts(const object& h, message& m) {
    const std::pair<std::string_view, std::string*> texts[] = {{"lang", &m.lang},
                                                               {"shadow", &m.shadow},
                                                               {"group", &m.group},
                                                               {"root_id", &m.root_id},
                                                               {"parent_id", &m.parent_id},
                                                               {"argsrepr", &m.argsrepr},
                                                               {"kwargsrepr", &m.kwargsrepr},
                                                               {"origin", &m.origin}};
    for (const auto& [name, member] : texts) {
        auto text = read_text(at(h, name), name);
        if (!text)
            return text.error();
        *member = *std::move(text);
    }
    return {};
}

result<void> read_numbers(const object& h, message& m) {
    if (const auto& index = at(h, "group_index"); !index.is_null()) {
        if (!index.if_int64())
            return malformed("header `group_index` is no integer");
        m.group_index = index.to_int();
    }
    const auto& retries = at(h, "retries");
    m.retries = retries.to_int();
    if ((!retries.is_null() && !retries.if_int64()) || m.retries < 0)
        return malformed("header `retries` is no count");
    m.replaced_task_nesting = at(h, "replaced_task_nesting").to_int();
    if (const auto& limits = at(h, "timelimit"); !limits.is_null()) {
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
    m.task = at(h, "task").to_text();
    m.id = at(h, "id").to_text();
    if (m.task.empty() || m.task.size() > task_chars_max)
        return malformed("header `task` is no name of a task");
    if (m.id.empty() || m.id.size() > id_chars_max)
        return malformed("header `id` is missing or too long");
    if (auto done = read_texts(h, m); !done)
        return done;
    if (auto done = read_numbers(h, m); !done)
        return done;
    auto eta = read_time(at(h, "eta"), "eta"), expires = read_time(at(h, "expires"), "expires");
    if (!eta || !expires)
        return eta ? expires.error() : eta.error();
    m.eta = *eta;
    m.expires = *expires;
    if (auto* ignored = at(h, "ignore_result").if_bool())
        m.ignore_result = *ignored;
    m.redelivered = at(h, "redelivered").to_bool();
    m.stamped_headers = at(h, "stamped_headers");
    if (auto* stamps = at(h, "stamps").if_object())
        m.stamps = *stamps;
    for (const auto& [name, content] : h)
        if (!is_known_header(name))
            m.extra.append(name, content);
    return {};
}

bool is_utf8_name(std::string_view name) noexcept {
    constexpr std::size_t longest = 8;
    if (name.size() > longest)
        return false;
    std::string lower;
    for (char c : name)
        lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    // Python says `binary` of JSON that was compressed or is bytes; UTF-8 it is all the same.
    return lower.empty() || lower == "utf-8" || lower == "utf8" || lower == "us-ascii" ||
           lower == "ascii" || lower == "binary";
}

result<void> read_properties(const object& p, message& m) {
    m.content_type = at(p, "content_type").to_text();
    if (m.content_type.empty())
        return failure{errc::unsupported_media, "no content type; expected application/json"};
    if (m.content_type != "application/json")
        return failure{errc::unsupported_media,
                       fmt::format("content type `{}` is not read; expected application/json",
                                   m.content_type.substr(0, 80))};
    m.content_encoding = at(p, "content_encoding").to_text("utf-8");
    if (!is_utf8_name(m.content_encoding))
        return failure{errc::unsupported_media,
                       fmt::format("content encoding `{}` is not read; expected utf-8",
                                   m.content_encoding.substr(0, 80))};
    m.correlation_id = at(p, "correlation_id").to_text();
    m.reply_to = at(p, "reply_to").to_text();
    m.delivery_mode = at(p, "delivery_mode").to_int(2);
    m.priority = at(p, "priority").to_int();
    m.expiration = at(p, "expiration").to_text();
    return {};
}

// The text of the body, which `inflated` owns where it was compressed.
result<std::string_view> open_body(const object& headers, std::string_view body, bytes& inflated) {
    const auto* method = headers.find("compression");
    if (!method || method->is_null() || (method->is_string() && method->to_text().empty()))
        return body;
    if (method->to_text() != zlib_compression)
        return failure{errc::unsupported_media,
                       fmt::format("compression `{}` is not read; expected {}",
                                   method->to_text("of another kind").substr(0, 80),
                                   zlib_compression)};
    auto content = zlib_inflate(as_bytes(body), inflated_bytes_max);
    if (!content && content.error().code == errc::too_large)
        return failure{errc::too_large,
                       fmt::format("the body inflates to more than {} bytes", inflated_bytes_max)};
    if (!content)
        return malformed("body: " + content.error().message);
    inflated = *std::move(content);
    return as_text(inflated);
}

result<void> read_body(array& parts, message& m) {
    if (parts.size() != 3)
        return malformed("the body is no array of three: arguments, named arguments, workflow");
    auto* args = parts[0].if_array();
    auto* kwargs = parts[1].if_object();
    auto& embed = parts[2];
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

// Headers and body in one: which protocol it is shows in the body alone.
result<void> read_task(const object& headers, std::string_view body, message& m) {
    bytes inflated;
    auto text = open_body(headers, body, inflated);
    if (!text)
        return text.error();
    auto parsed = read_json(*text);
    if (!parsed)
        return failure{parsed.error().code, "body: " + parsed.error().message};
    if (auto* content = parsed->if_object()) {
        auto merged = from_legacy_body(headers, std::move(*content), m);
        return merged ? read_headers(*merged, m) : merged.error();
    }
    if (!headers.find("task"))
        return malformed("neither a header `task` nor a body of protocol 1");
    if (auto done = read_headers(headers, m); !done)
        return done;
    auto* parts = parsed->if_array();
    return parts ? read_body(*parts, m)
                 : malformed("the body is no array of three: arguments, named arguments, workflow");
}

} // namespace

result<message> decode(const object& headers, const object& properties, std::string_view body) {
    message m;
    // What cannot be understood is named before the body is touched.
    if (auto done = read_properties(properties, m); !done)
        return done.error();
    if (auto done = read_task(headers, body, m); !done)
        return done.error();
    m.compression = at(headers, "compression").to_text();
    return m;
}

result<message> decode(std::string_view headers, std::string_view properties,
                       std::string_view body) {
    auto h = parse_object(headers, "headers");
    if (!h)
        return h.error();
    auto p = parse_object(properties, "properties");
    if (!p)
        return p.error();
    return decode(*h, *p, body);
}

message_identity identify(const message_parts& parts) {
    message_identity who;
    const auto text = [](const object& o, std::string_view name, std::size_t chars_max) {
        const auto* there = o.find(name);
        const auto found = there ? there->to_text() : std::string_view();
        return found.size() <= chars_max ? std::string(found) : std::string();
    };
    who.task = text(parts.headers, "task", task_chars_max);
    who.id = text(parts.headers, "id", id_chars_max);
    who.correlation_id = text(parts.properties, "correlation_id", id_chars_max);
    who.reply_to = text(parts.properties, "reply_to", id_chars_max);
    if (who.task.empty() || who.id.empty())
        if (auto parsed = read_json(parts.body); parsed && parsed->is_object()) {
            if (who.task.empty())
                who.task = text(*parsed->if_object(), "task", task_chars_max);
            if (who.id.empty())
                who.id = text(*parsed->if_object(), "id", id_chars_max);
        }
    return who;
}

} // namespace carillon::wire::celery
