#include "jobs/control/commands.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jobs/control/rate_limits.hpp"

namespace carillon::jobs {

namespace celery = wire::celery;

namespace {

using context = command_context;
using answer = std::optional<value>;

const value& at(const object& arguments, std::string_view name) {
    static const value null;
    const auto* found = arguments.find(name);
    return found ? *found : null;
}

value ok(std::string_view text) { return celery::ok_reply(text); }

value refused(const failure& why) {
    return celery::error_reply(why.code == errc::not_found ? "unknown task" : why.message);
}

template <class T>
array listed(const std::vector<T>& all) {
    array out;
    out.reserve(all.size());
    for (const auto& one : all)
        out.push_back(celery::to_value(one));
    return out;
}

// --- looking

answer ping(const context&, const object&) { return ok("pong"); }

answer active(const context& c, const object& arguments) {
    auto all = c.worker.active(c.listed_max);
    if (at(arguments, "safe").to_bool()) {
        for (auto& one : all) {
            if (const auto* args = one.args.if_array())
                one.args = value(celery::repr_args(*args));
            if (const auto* kwargs = one.kwargs.if_object())
                one.kwargs = value(celery::repr_kwargs(*kwargs));
        }
    }
    return value(listed(all));
}

answer reserved(const context& c, const object&) {
    return value(listed(c.worker.reserved(c.listed_max)));
}

answer scheduled(const context& c, const object&) {
    return value(listed(c.worker.scheduled(c.listed_max)));
}

answer revoked(const context& c, const object&) {
    array ids;
    for (auto& one : c.revoked.all())
        ids.emplace_back(std::move(one.id));
    return value(std::move(ids));
}

answer registered(const context& c, const object& arguments) {
    bool wants_rate = true; // of Celery's three items, the one that tasks have here
    if (const auto* items = at(arguments, "taskinfoitems").if_array(); items && !items->empty())
        wants_rate = std::find(items->begin(), items->end(), value("rate_limit")) != items->end();
    array names;
    for (const auto& task : c.worker.registered())
        names.emplace_back(wants_rate && !task.rate_limit.empty()
                               ? fmt::format("{} [rate_limit={}]", task.name, task.rate_limit)
                               : task.name);
    return value(std::move(names));
}

answer stats(const context& c, const object&) {
    auto all = c.worker.stats();
    all.clock = c.clock.read();
    return celery::to_value(all);
}

answer active_queues(const context& c, const object&) { return value(listed(c.worker.queues())); }

answer query_task(const context& c, const object& arguments) {
    object found;
    const auto look = [&](std::string_view id) {
        if (found.size() >= c.listed_max || found.find(id))
            return;
        if (auto one = c.worker.find(id)) {
            const bool runs = one->is == worker_view::held::state::active;
            found.append(std::string(id), array{value(runs ? "active" : "reserved"),
                                                celery::to_value(one->request)});
        }
    };
    const auto& ids = at(arguments, "ids");
    if (const auto* list = ids.if_array())
        for (const auto& id : *list)
            look(id.to_text());
    else
        look(ids.to_text());
    return value(std::move(found));
}

answer clock(const context& c, const object&) { return value(object{{"clock", c.clock.read()}}); }

answer conf(const context& c, const object&) { return value(c.worker.conf()); }

answer report(const context& c, const object&) { return ok(c.worker.report()); }

// A worker that starts tells which ids it knows to be revoked, and takes over those of the others.
answer hello(const context& c, const object& arguments) {
    if (at(arguments, "from_node").to_text() == c.node)
        return value();
    std::vector<std::string> ids;
    for (auto& one : celery::read_revoked(at(arguments, "revoked")))
        ids.push_back(std::move(one.id));
    c.revoked.add(ids);
    c.worker.revoke(ids, false);
    std::vector<celery::revoked_id> known;
    for (auto& one : c.revoked.all())
        known.push_back({std::move(one.id),
                         std::chrono::duration<double>(one.added.time_since_epoch()).count()});
    return celery::hello_reply(known, c.clock.next());
}

// --- doing

answer revoke(const context& c, const object& arguments) {
    const auto ids = celery::task_ids(arguments);
    const bool terminate = at(arguments, "terminate").to_bool();
    c.revoked.add(ids);
    const auto held = c.worker.revoke(ids, terminate);
    const auto named = fmt::format("{}", fmt::join(ids, ", "));
    c.log.info(
        "jobs were revoked by remote control",
        {{"ids", ids.size()}, {"first", ids.empty() ? "" : ids.front()}, {"terminate", terminate}});
    if (!terminate)
        return ok(fmt::format("tasks {} flagged as revoked", named));
    if (held.empty())
        return ok("terminate: tasks unknown");
    return ok(fmt::format("terminate: {}", fmt::join(held, ", ")));
}

answer terminate(const context& c, const object& arguments) {
    auto with = arguments;
    with.set("terminate", true);
    return revoke(c, with);
}

answer rate_limit(const context& c, const object& arguments) {
    const auto& rate = at(arguments, "rate_limit");
    const auto done = c.worker.rate_limit(std::string(at(arguments, "task_name").to_text()), rate);
    if (!done && done.error().code == errc::invalid)
        return celery::error_reply("Invalid rate limit string: " + done.error().message);
    if (!done)
        return refused(done.error());
    const auto read = parse_rate(rate);
    const bool none = read && !*read;
    return ok(none ? "rate limit disabled successfully" : "new rate limit set successfully");
}

answer time_limit(const context& c, const object& arguments) {
    for (const auto* name : {"hard", "soft"})
        if (const auto& given = at(arguments, name); !given.is_null() && !given.is_number())
            return celery::error_reply(
                fmt::format("ValueError('{} is no number of seconds')", name));
    const auto limit = [&](std::string_view name) -> std::optional<double> {
        const auto& given = at(arguments, name);
        return given.is_number() ? std::optional(given.to_double()) : std::nullopt;
    };
    const auto done = c.worker.time_limit(std::string(at(arguments, "task_name").to_text()),
                                          limit("hard"), limit("soft"));
    return done ? ok("time limits set successfully") : refused(done.error());
}

answer grow(const context& c, const object& arguments, int sign) {
    const auto& given = at(arguments, "n");
    const auto n = given.is_null() ? 1 : given.to_int(-1);
    constexpr std::int64_t most = 100'000; // far beyond what the pool takes, and safe to negate
    if (n < 0 || n > most)
        return celery::error_reply("ValueError('n is no number of threads')");
    const auto done = c.worker.grow(sign * n);
    return done ? ok(sign > 0 ? "pool will grow" : "pool will shrink") : refused(done.error());
}
answer pool_grow(const context& c, const object& arguments) { return grow(c, arguments, 1); }
answer pool_shrink(const context& c, const object& arguments) { return grow(c, arguments, -1); }

answer change_consumer(const context& c, const object& arguments, bool add) {
    const std::string queue(at(arguments, "queue").to_text());
    if (queue.empty())
        return celery::error_reply("ValueError('queue is missing')");
    // A queue is consumed by its name here; binding it to other exchanges is for whoever runs the broker.
    const auto other = [&](std::string_view name, std::string_view usual) {
        const auto given = at(arguments, name).to_text();
        return !given.empty() && given != usual;
    };
    if (add && (other("exchange", queue) || other("exchange_type", "direct") ||
                other("routing_key", queue)))
        return celery::error_reply("ValueError('queues are consumed by their names; exchanges, "
                                   "types and routing keys of their own are not declared')");
    const auto done = add ? c.worker.add_consumer(queue) : c.worker.cancel_consumer(queue);
    if (!done)
        return celery::error_reply(done.error().message);
    return ok((add ? "add consumer " : "no longer consuming from ") + queue);
}
answer add_consumer(const context& c, const object& arguments) {
    return change_consumer(c, arguments, true);
}
answer cancel_consumer(const context& c, const object& arguments) {
    return change_consumer(c, arguments, false);
}

answer enable_events(const context& c, const object&) {
    return ok(c.events.set_task_events(true) ? "task events already enabled"
                                             : "task events enabled");
}
answer disable_events(const context& c, const object&) {
    return ok(c.events.set_task_events(false) ? "task events disabled"
                                              : "task events already disabled");
}

answer heartbeat(const context& c, const object&) {
    c.events.heartbeat_now();
    return value();
}

answer shutdown(const context& c, const object&) {
    c.log.warning("remote control asked this worker to shut down");
    c.worker.shutdown();
    return std::nullopt;
}

answer autoscale(const context&, const object&) {
    return celery::error_reply("ValueError('Autoscale not enabled')");
}
answer pool_restart(const context&, const object&) {
    return celery::error_reply("ValueError('Pool restarts not enabled')");
}

using command = answer (*)(const context&, const object&);
const std::map<std::string_view, command>& commands() {
    static const std::map<std::string_view, command> all{
        {"ping", ping},
        {"active", active},
        {"dump_active", active},
        {"reserved", reserved},
        {"dump_reserved", reserved},
        {"scheduled", scheduled},
        {"dump_schedule", scheduled},
        {"revoked", revoked},
        {"dump_revoked", revoked},
        {"registered", registered},
        {"dump_tasks", registered},
        {"stats", stats},
        {"active_queues", active_queues},
        {"query_task", query_task},
        {"clock", clock},
        {"conf", conf},
        {"dump_conf", conf},
        {"report", report},
        {"hello", hello},
        {"revoke", revoke},
        {"terminate", terminate},
        {"rate_limit", rate_limit},
        {"time_limit", time_limit},
        {"pool_grow", pool_grow},
        {"pool_shrink", pool_shrink},
        {"add_consumer", add_consumer},
        {"cancel_consumer", cancel_consumer},
        {"enable_events", enable_events},
        {"disable_events", disable_events},
        {"heartbeat", heartbeat},
        {"shutdown", shutdown},
        {"autoscale", autoscale},
        {"pool_restart", pool_restart},
    };
    return all;
}

} // namespace

std::optional<value> run_command(const command_context& c, const std::string& method,
                                 const object& arguments) {
    const auto found = commands().find(method);
    if (found == commands().end())
        return celery::unknown_command_reply(method);
    return found->second(c, arguments);
}

} // namespace carillon::jobs
