#include "app/beat.hpp"

#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/health_port.hpp"
#include "app/job_settings.hpp"
#include "app/stop_signals.hpp"
#include "jobs/queue_core.hpp"

namespace carillon::app {

namespace {

// A broker may have the workers of other programs.
result<void> check_tasks(const timetable& table, const settings& config, job_queue& jobs) {
    if (jobs_on_broker(config))
        return {};
    for (const auto& one : table.entries())
        if (!jobs.core()->registry().find(one.task))
            return failure{errc::not_found,
                           fmt::format("schedule entry \"{}\": no task is registered as `{}`",
                                       one.name, one.task)};
    return {};
}

} // namespace

result<std::unique_ptr<jobs::beat>> start_beat(application& site, runtime& parts) {
    auto& shared = parts.shared();
    timetable table;
    site.register_schedules(table, shared);
    for (const auto& one : shared.config.schedules)
        table.add(one);
    if (auto known = check_tasks(table, shared.config, parts.jobs()); !known)
        return known.error();
    auto slots = open_beat_store(shared.config);
    if (!slots)
        return slots.error();
    auto made = jobs::beat::make(table.entries(), *std::move(slots),
                                 jobs::enqueue_into(parts.jobs()), {}, shared.log, shared.counters);
    if (!made)
        return made.error();
    if (table.entries().empty())
        shared.log.warning("beat has nothing to send: no schedule is registered, and the "
                           "configuration file has no [schedule.NAME]");
    (*made)->start();
    shared.log.info("beat ready", {{"entries", table.entries().size()},
                                   {"broker", shown_broker(shared.config)},
                                   {"beat_store", shown_beat_store(shared.config)}});
    return made;
}

int beat(application& site, const settings& config) {
    stop_signals signals;
    auto log = log_for(config);
    metrics counters;
    auto listeners = health_port::listen(config);
    if (!listeners)
        return fail(listeners.error());
    auto parts = runtime::start(site, config, *log, counters, nullptr);
    if (!parts)
        return fail(parts.error());
    auto started = start_beat(site, **parts);
    if (!started)
        return fail(started.error());
    auto& beating = **started;
    readiness ready;
    add_broker_check(ready, (*parts)->shared());
    ready.add("beat", [&beating] { return beating.ping(); });
    const health_port health(*std::move(listeners), (*parts)->shared(), ready);
    if (!health.address().empty())
        log->info("health port", {{"address", health.address()}});
    signals.wait();
    ready.leave();
    beating.stop();
    log->info("beat stopped");
    return 0;
}

} // namespace carillon::app
