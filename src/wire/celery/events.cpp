#include "wire/celery/events.hpp"

#include <algorithm>

#include <carillon/base/assert.hpp>

#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

object call_fields(const message& m) {
    object f;
    f.append("uuid", m.id);
    f.append("name", m.task);
    f.append("args", m.argsrepr.empty() ? repr_args(m.args) : m.argsrepr);
    f.append("kwargs", m.kwargsrepr.empty() ? repr_kwargs(m.kwargs) : m.kwargsrepr);
    f.append("root_id", m.root_id.empty() ? m.id : m.root_id);
    f.append("parent_id", text_or_null(m.parent_id));
    f.append("retries", m.retries);
    f.append("eta", m.eta ? value(to_isoformat(*m.eta)) : value());
    f.append("expires", m.expires ? value(to_isoformat(*m.expires)) : value());
    return f;
}

object end_fields(std::string_view id, std::string_view exception, std::string_view traceback) {
    object f;
    f.append("uuid", id);
    f.append("exception", exception);
    f.append("traceback", text_or_null(traceback));
    return f;
}

bool is_common(std::string_view name) noexcept {
    for (std::string_view common : {"type", "hostname", "pid", "timestamp", "utcoffset", "clock"})
        if (name == common)
            return true;
    return false;
}

message_parts parts_of(std::string_view hostname, const value& body) {
    object headers;
    headers.append("hostname", hostname);
    return json_parts(std::move(headers), 1, body);
}

} // namespace

value to_value(const event& e) {
    object o;
    o.reserve(6 + e.fields.size());
    o.append("hostname", e.hostname);
    o.append("utcoffset", e.utcoffset);
    o.append("pid", e.pid);
    o.append("clock", e.clock);
    for (const auto& [name, content] : e.fields)
        if (!is_common(name))
            o.append(name, content);
    o.append("timestamp", e.timestamp);
    o.append("type", e.type);
    return o;
}

result<event> read_event(const value& v) {
    const auto* o = v.if_object();
    if (!o)
        return malformed("an event is no object");
    event e;
    e.type = text_of(*o, "type");
    if (e.type.empty())
        return malformed("an event has no type");
    for (auto name : {"pid", "timestamp", "utcoffset", "clock"})
        if (const auto& number = at(*o, name); !number.is_null() && !number.is_number())
            return malformed("a common member of an event is no number");
    e.hostname = text_of(*o, "hostname");
    e.pid = at(*o, "pid").to_int();
    e.timestamp = at(*o, "timestamp").to_double();
    e.utcoffset = at(*o, "utcoffset").to_int();
    e.clock = at(*o, "clock").to_int();
    for (const auto& [name, content] : *o)
        if (!is_common(name))
            e.fields.append(name, content);
    return e;
}

std::string event_routing_key(std::string_view type) {
    std::string key(type);
    std::replace(key.begin(), key.end(), '-', '.');
    return key;
}

message_parts encode_event(const event& e) { return parts_of(e.hostname, to_value(e)); }

message_parts encode_events(const std::vector<event>& events) {
    CARILLON_ASSERT(!events.empty(), "a message has at least one event");
    array all;
    all.reserve(events.size());
    for (const auto& e : events)
        all.push_back(to_value(e));
    return parts_of(events.front().hostname, std::move(all));
}

result<std::vector<event>> decode_events(const message_parts& parts) {
    auto parsed = json_body(parts, "event");
    if (!parsed)
        return parsed.error();
    const auto* list = parsed->if_array();
    const std::size_t count = list ? list->size() : 1;
    if (count > events_max)
        return failure{errc::too_large, "a message holds too many events"};
    std::vector<event> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto one = read_event(list ? (*list)[i] : *parsed);
        if (!one)
            return one.error();
        all.push_back(*std::move(one));
    }
    return all;
}

object fields_of(const worker_state& s) {
    object f;
    f.append("freq", s.heartbeat_s);
    f.append("active", s.active);
    f.append("processed", s.processed);
    f.append("loadavg", array(s.load.begin(), s.load.end()));
    f.append("sw_ident", s.software);
    f.append("sw_ver", s.version);
    f.append("sw_sys", s.system);
    return f;
}

object received_fields(const message& m) { return call_fields(m); }

object sent_fields(const message& m, std::string_view queue, std::string_view exchange,
                   std::string_view routing_key) {
    auto f = call_fields(m);
    f.append("queue", queue);
    f.append("exchange", exchange);
    f.append("routing_key", routing_key);
    return f;
}

object started_fields(std::string_view id) {
    object f;
    f.append("uuid", id);
    return f;
}

object succeeded_fields(std::string_view id, const value& result, double runtime_s) {
    object f;
    f.append("uuid", id);
    f.append("result", repr(result));
    f.append("runtime", runtime_s);
    return f;
}

object failed_fields(std::string_view id, std::string_view exception, std::string_view traceback) {
    return end_fields(id, exception, traceback);
}

object retried_fields(std::string_view id, std::string_view exception, std::string_view traceback) {
    return end_fields(id, exception, traceback);
}

object revoked_fields(std::string_view id, bool terminated, std::optional<int> signal,
                      bool expired) {
    object f;
    f.append("uuid", id);
    f.append("terminated", terminated);
    f.append("signum", signal ? value(*signal) : value());
    f.append("expired", expired);
    return f;
}

object rejected_fields(std::string_view id, bool requeue) {
    object f;
    f.append("uuid", id);
    f.append("requeue", requeue);
    return f;
}

} // namespace carillon::wire::celery
