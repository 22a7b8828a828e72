// The shapes inside replies of remote control.
#include <fmt/format.h>

#include "wire/celery/control.hpp"
#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

constexpr std::string_view request_kind = "a request is no object with an id";

object delivery_info_of(const request_info& r) {
    object info;
    info.append("exchange", r.exchange);
    info.append("routing_key", r.routing_key);
    info.append("priority", r.priority);
    info.append("redelivered", r.redelivered);
    return info;
}

object exchange_of(const queue_info& q) {
    object e;
    e.append("name", q.exchange);
    e.append("type", q.exchange_type);
    e.append("arguments", nullptr);
    e.append("durable", q.durable);
    e.append("passive", false);
    e.append("auto_delete", q.auto_delete);
    e.append("delivery_mode", nullptr);
    e.append("no_declare", false);
    return e;
}

object pool_of(const worker_stats& s) {
    array processes, timeouts;
    for (const auto pid : s.processes)
        processes.emplace_back(pid);
    for (const double limit : {s.soft_limit_s, s.hard_limit_s}) {
        const auto whole = value(limit).to_int(-1);
        timeouts.push_back(whole >= 0 ? value(whole) : value(limit));
    }
    object pool;
    pool.append("implementation", s.pool);
    pool.append("max-concurrency", s.concurrency);
    pool.append("processes", std::move(processes));
    pool.append("max-tasks-per-child", "N/A");
    pool.append("put-guarded-by-semaphore", false);
    pool.append("timeouts", std::move(timeouts));
    pool.append("writes", object());
    return pool;
}

object broker_of(const worker_stats& s) {
    object broker;
    broker.append("hostname", s.broker_host);
    broker.append("userid", text_or_null(s.broker_user));
    broker.append("virtual_host", s.broker_vhost);
    broker.append("port", s.broker_port);
    broker.append("insist", false);
    broker.append("ssl", false);
    broker.append("transport", s.broker_transport);
    broker.append("connect_timeout", 4);
    broker.append("transport_options", object());
    broker.append("login_method", nullptr);
    broker.append("uri_prefix", nullptr);
    broker.append("heartbeat", s.broker_heartbeat_s);
    broker.append("failover_strategy", "round-robin");
    broker.append("alternates", array());
    return broker;
}

} // namespace

value to_value(const request_info& r) {
    object o;
    o.append("id", r.id);
    o.append("name", r.name);
    o.append("args", r.args);
    o.append("kwargs", r.kwargs);
    o.append("type", r.type.empty() ? r.name : r.type);
    o.append("hostname", r.hostname);
    o.append("time_start", r.time_start ? value(*r.time_start) : value());
    o.append("acknowledged", r.acknowledged);
    o.append("delivery_info", delivery_info_of(r));
    o.append("worker_pid", r.worker_pid ? value(*r.worker_pid) : value());
    return o;
}

result<request_info> read_request_info(const value& v) {
    const auto* o = v.if_object();
    if (!o || text_of(*o, "id").empty())
        return malformed(request_kind);
    request_info r;
    r.id = text_of(*o, "id");
    r.name = text_of(*o, "name");
    r.args = at(*o, "args");
    r.kwargs = at(*o, "kwargs");
    r.type = text_of(*o, "type");
    r.hostname = text_of(*o, "hostname");
    if (const auto& start = at(*o, "time_start"); start.is_number())
        r.time_start = start.to_double();
    r.acknowledged = at(*o, "acknowledged").to_bool();
    const auto& delivery = at(*o, "delivery_info");
    r.exchange = delivery["exchange"].to_text();
    r.routing_key = delivery["routing_key"].to_text();
    r.priority = delivery["priority"].to_int();
    r.redelivered = delivery["redelivered"].to_bool();
    if (const auto* pid = at(*o, "worker_pid").if_int64())
        r.worker_pid = *pid;
    return r;
}

value to_value(const scheduled_info& s) {
    object o;
    o.append("eta", to_isoformat(s.eta));
    o.append("priority", s.priority);
    o.append("request", to_value(s.request));
    return o;
}

result<scheduled_info> read_scheduled_info(const value& v) {
    const auto eta = from_iso8601(v["eta"].to_text());
    if (!eta)
        return malformed("a scheduled request has no time");
    auto request = read_request_info(v["request"]);
    if (!request)
        return request.error();
    return scheduled_info{*eta, v["priority"].to_int(), *std::move(request)};
}

value to_value(const queue_info& q) {
    object o;
    o.reserve(18);
    o.append("name", q.name);
    o.append("exchange", exchange_of(q));
    o.append("routing_key", q.routing_key);
    o.append("queue_arguments", q.queue_arguments);
    o.append("binding_arguments", q.binding_arguments);
    o.append("consumer_arguments", q.consumer_arguments);
    o.append("durable", q.durable);
    o.append("exclusive", q.exclusive);
    o.append("auto_delete", q.auto_delete);
    o.append("no_ack", q.no_ack);
    o.append("alias", q.alias);
    o.append("bindings", array());
    for (auto name : {"no_declare", "expires", "message_ttl", "max_length", "max_length_bytes"})
        o.append(name, nullptr);
    o.append("max_priority", q.priority_max ? value(*q.priority_max) : value());
    return o;
}

result<queue_info> read_queue_info(const value& v) {
    const auto* o = v.if_object();
    if (!o || text_of(*o, "name").empty())
        return malformed("a queue is no object with a name");
    queue_info q;
    q.name = text_of(*o, "name");
    q.exchange = at(*o, "exchange")["name"].to_text();
    q.exchange_type = at(*o, "exchange")["type"].to_text("direct");
    q.routing_key = text_of(*o, "routing_key");
    q.queue_arguments = at(*o, "queue_arguments");
    q.binding_arguments = at(*o, "binding_arguments");
    q.consumer_arguments = at(*o, "consumer_arguments");
    q.durable = at(*o, "durable").to_bool();
    q.exclusive = at(*o, "exclusive").to_bool();
    q.auto_delete = at(*o, "auto_delete").to_bool();
    q.no_ack = at(*o, "no_ack").to_bool();
    q.alias = at(*o, "alias");
    if (const auto* priority = at(*o, "max_priority").if_int64())
        q.priority_max = *priority;
    return q;
}

value to_value(const worker_stats& s) {
    object o;
    o.append("total", s.total);
    o.append("pid", s.pid);
    o.append("clock", fmt::to_string(s.clock));
    o.append("uptime", s.uptime_s);
    o.append("pool", pool_of(s));
    o.append("broker", broker_of(s));
    o.append("prefetch_count", s.prefetch_count);
    o.append("rusage", s.rusage);
    return o;
}

result<worker_stats> read_worker_stats(const value& v) {
    if (!v.is_object())
        return malformed("the statistics of a worker are no object");
    worker_stats s;
    if (const auto* total = v["total"].if_object())
        s.total = *total;
    s.pid = v["pid"].to_int();
    const auto clock = v["clock"].to_text("0");
    const auto digits = clock.substr(0, 18); // what fits
    if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos)
        for (char c : digits)
            s.clock = s.clock * 10 + (c - '0');
    s.uptime_s = v["uptime"].to_int();
    const auto& pool = v["pool"];
    s.pool = pool["implementation"].to_text();
    s.concurrency = pool["max-concurrency"].to_int();
    if (const auto* processes = pool["processes"].if_array())
        for (const auto& pid : *processes)
            s.processes.push_back(pid.to_int());
    if (const auto* limits = pool["timeouts"].if_array(); limits && limits->size() == 2) {
        s.soft_limit_s = (*limits)[0].to_double();
        s.hard_limit_s = (*limits)[1].to_double();
    }
    const auto& broker = v["broker"];
    s.broker_transport = broker["transport"].to_text();
    s.broker_host = broker["hostname"].to_text();
    s.broker_user = broker["userid"].to_text();
    s.broker_vhost = broker["virtual_host"].to_text();
    s.broker_port = broker["port"].to_int();
    s.broker_heartbeat_s = broker["heartbeat"].to_double();
    s.prefetch_count = v["prefetch_count"].to_int();
    if (const auto* usage = v["rusage"].if_object())
        s.rusage = *usage;
    return s;
}

value hello_reply(const std::vector<revoked_id>& revoked, std::int64_t clock) {
    object ids;
    ids.reserve(revoked.size());
    for (const auto& r : revoked)
        ids.append(r.id, array{r.seconds, r.id});
    object o;
    o.append("revoked", std::move(ids));
    o.append("clock", clock);
    return o;
}

std::vector<revoked_id> read_revoked(const value& v) {
    std::vector<revoked_id> all;
    if (const auto* ids = v.if_object())
        for (const auto& [id, content] : *ids) {
            const auto* pair = content.if_array();
            if (pair && pair->size() == 2 && (*pair)[0].is_number() && !id.empty() &&
                id.size() <= id_chars_max)
                all.push_back({id, (*pair)[0].to_double()});
        }
    return all;
}

} // namespace carillon::wire::celery
