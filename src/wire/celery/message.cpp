#include "wire/celery/message.hpp"

#include <cmath>

#include <fmt/format.h>

#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"
#include "wire/gzip.hpp"

namespace carillon::wire::celery {

namespace {

value time_or_null(const std::optional<utc_time>& when) {
    return when ? value(to_isoformat(*when)) : value();
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
    h.reserve(21 + m.extra.size());
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
    if (!m.compression.empty())
        h.append("compression", m.compression);
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

} // namespace

result<message_parts> encode_parts(const message& m) {
    if (m.task.empty() || m.task.size() > task_chars_max)
        return failure{errc::invalid,
                       fmt::format("the name of a task has 1 to {} characters", task_chars_max)};
    if (m.id.empty() || m.id.size() > id_chars_max)
        return failure{errc::invalid,
                       fmt::format("the id of a task has 1 to {} characters", id_chars_max)};
    if (!m.compression.empty() && m.compression != zlib_compression)
        return failure{errc::invalid,
                       fmt::format("compression `{}` is not written", m.compression)};
    auto body = write_json(body_of(m));
    if (!m.compression.empty())
        body = as_text(zlib_compress(as_bytes(body)));
    return message_parts{headers_of(m), properties_of(m), std::move(body)};
}

result<encoded_message> encode(const message& m) {
    auto parts = encode_parts(m);
    if (!parts)
        return parts.error();
    return encoded_message{write_json(std::move(parts->headers)),
                           write_json(std::move(parts->properties)), std::move(parts->body)};
}

message next_try(message m, utc_time eta) {
    if (m.retries < INT64_MAX)
        ++m.retries;
    m.eta = eta;
    m.parent_id = m.id;
    m.redelivered = false;
    object kept;
    for (const auto& [name, content] : m.extra)
        if (!name.starts_with("x-death") && !name.starts_with("x-first-death") &&
            !name.starts_with("x-last-death") && name != "x-delivery-count")
            kept.append(name, content);
    m.extra = std::move(kept);
    return m;
}

} // namespace carillon::wire::celery
