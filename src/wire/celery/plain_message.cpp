// One signature without parts, as a message.
#include "wire/celery/plain_message.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

// A number of seconds from now on, or a time.
std::optional<utc_time> time_of(const value& v, utc_time when) {
    if (v.is_number()) {
        constexpr double hundred_years_s = 100.0 * 365.25 * 86'400;
        const double seconds = v.to_double();
        if (!(std::abs(seconds) <= hundred_years_s))
            return {};
        return when + std::chrono::microseconds(std::llround(seconds * 1e6));
    }
    return v.is_string() ? from_iso8601(v.to_text()) : unwrap_datetime(v);
}

std::optional<double> limit_of(const value& v) {
    const double seconds = v.to_double(-1);
    return seconds >= 0 && std::isfinite(seconds) ? std::optional(seconds) : std::nullopt;
}

std::string compression_of(const value& v) {
    const auto name = v.to_text();
    const bool known = name == "zlib" || name == "gzip" || name == zlib_compression;
    return std::string(known ? zlib_compression : std::string_view());
}

void read_stamps(const object& options, message& m) {
    m.stamped_headers = at(options, "stamped_headers");
    const auto* names = m.stamped_headers.if_array();
    for (std::size_t i = 0; names && i < names->size(); ++i)
        if (const auto* stamp = options.find((*names)[i].to_text()))
            m.stamps.set((*names)[i].to_text(), *stamp);
}

result<void> read_times(const object& options, utc_time when, message& m) {
    for (auto name : {"eta", "countdown"})
        if (const auto& eta = at(options, name); !eta.is_null()) {
            m.eta = time_of(eta, when);
            if (!m.eta)
                return malformed(fmt::format("option `{}` of a signature is no time", name));
        }
    if (const auto& expires = at(options, "expires"); !expires.is_null()) {
        m.expires = time_of(expires, when);
        if (!m.expires)
            return malformed("option `expires` of a signature is no time");
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*m.expires - when).count();
        m.expiration = fmt::to_string(std::max<std::int64_t>(left, 0));
    }
    return {};
}

void read_options(const object& options, message& m) {
    m.id = text_of(options, "task_id");
    m.group = text_of(options, "group_id");
    if (const auto* index = at(options, "group_index").if_int64())
        m.group_index = *index;
    m.shadow = text_of(options, "shadow");
    m.retries = std::max<std::int64_t>(at(options, "retries").to_int(), 0);
    m.hard_limit_s = limit_of(at(options, "time_limit"));
    m.soft_limit_s = limit_of(at(options, "soft_time_limit"));
    m.ignore_result = at(options, "ignore_result").to_bool();
    m.replaced_task_nesting = at(options, "replaced_task_nesting").to_int();
    m.priority = at(options, "priority").to_int();
    m.reply_to = text_of(options, "reply_to");
    m.compression = compression_of(at(options, "compression"));
    if (const auto* headers = at(options, "headers").if_object())
        m.extra = *headers;
    read_stamps(options, m);
}

} // namespace

value list_or_null(const value& v) {
    if (v.is_null() || v.is_array())
        return v;
    return array{v};
}

value chain_of(const signature& s, const std::optional<array>& then) {
    const auto* own = at(s.options, "chain").if_array();
    if (!own)
        return then ? value(*then) : value();
    array all = then ? *then : array();
    all.insert(all.end(), own->begin(), own->end());
    return all;
}

result<outgoing> message_of(const signature& s, const sending& with, const value* in_front,
                            value chain) {
    outgoing o;
    auto& m = o.what;
    read_options(s.options, m);
    if (auto done = read_times(s.options, with.when, m); !done)
        return done.error();
    m.task = s.task;
    if (m.id.empty())
        m.id = with.new_id();
    if (m.id.empty() || m.id.size() > id_chars_max)
        return failure{errc::invalid, "the id of a signature is too long"};
    m.root_id = with.root_id;
    m.parent_id = with.parent_id;
    m.origin = with.origin;
    if (m.reply_to.empty())
        m.reply_to = with.reply_to;
    if (in_front && !s.immutable)
        m.args.push_back(*in_front);
    m.args.insert(m.args.end(), s.args.begin(), s.args.end());
    m.kwargs = s.kwargs;
    m.embed.append("callbacks", list_or_null(at(s.options, "link")));
    m.embed.append("errbacks", list_or_null(at(s.options, "link_error")));
    m.embed.append("chain", std::move(chain));
    m.embed.append("chord", at(s.options, "chord"));
    o.queue = text_of(s.options, "queue");
    o.exchange = text_of(s.options, "exchange");
    o.routing_key = text_of(s.options, "routing_key");
    return o;
}

} // namespace carillon::wire::celery
