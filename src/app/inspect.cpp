#include <cstdio>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/job_settings.hpp"
#include "app/runtime.hpp"
#include "jobs/control/controller.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::app {

namespace {

constexpr std::chrono::milliseconds connect_patience{5'000};

object worker_object(const worker_info& one, const std::string& what) {
    object shown{{"name", one.name}};
    if (what == "ping")
        shown.set("ok", one.answering ? "pong" : "no answer");
    if (what == "registered") {
        array names;
        for (const auto& name : one.registered)
            names.emplace_back(name);
        shown.set("registered", std::move(names));
    }
    if (what == "stats") {
        shown.set("pid", one.pid);
        shown.set("threads", one.threads);
        shown.set("processed", one.processed);
        shown.set("started", to_iso8601(one.started));
        shown.set("heartbeat", to_iso8601(one.heartbeat));
    }
    return shown;
}

// What the store of the queue knows.
result<array> inspected(job_queue& jobs, const std::string& what) {
    array shown;
    if (what == "active") {
        job_filter running;
        running.state = job_state::running;
        const auto records = jobs.list(running);
        if (!records)
            return records.error();
        for (const auto& one : *records)
            shown.push_back(to_value(one));
        return shown;
    }
    if (what == "queues") {
        const auto queues = jobs.queues();
        if (!queues)
            return queues.error();
        for (const auto& one : *queues)
            shown.push_back(object{{"name", one.name},
                                   {"waiting", one.waiting},
                                   {"delayed", one.delayed},
                                   {"running", one.running},
                                   {"completed", one.completed},
                                   {"failed", one.failed},
                                   {"cancelled", one.cancelled}});
        return shown;
    }
    const auto workers = jobs.workers();
    if (!workers)
        return workers.error();
    for (const auto& one : *workers)
        shown.push_back(worker_object(one, what));
    return shown;
}

// What the nodes of a broker answer, Carillon's and Celery's alike.
result<array> asked(const settings& config, const std::string& what, logger& log) {
    metrics counters;
    auto opened = open_console(config, log, counters, connect_patience);
    if (!opened)
        return opened.error();
    array shown;
    for (auto& [node, answer] : (*opened)->ask(what)) {
        object line{{"name", node}};
        if (!answer)
            line.set("error", answer.error().message);
        else if (what == "ping")
            line.set("ok", "pong");
        else
            line.set(what, *std::move(answer));
        shown.push_back(std::move(line));
    }
    return shown;
}

result<array> inspected(application& site, const settings& config, const std::string& what,
                        logger& log) {
    if (jobs_on_broker(config) && what != "queues")
        return asked(config, what, log);
    metrics counters;
    auto started = runtime::start(site, config, log, counters, nullptr);
    if (!started)
        return started.error();
    return inspected((*started)->jobs(), what);
}

} // namespace

int inspect(application& site, const settings& config, const std::string& what) {
    auto log = log_for(config);
    const auto shown = inspected(site, config, what, *log);
    if (!shown)
        return fail(shown.error());
    for (const auto& one : *shown)
        fmt::print("{}\n", to_json(one));
    if (shown->empty()) {
        const bool of_jobs = what == "queues" || (what == "active" && !jobs_on_broker(config));
        fmt::print(stderr, "{}\n", of_jobs ? "nothing there" : "no worker answers");
    }
    return what == "ping" && shown->empty() ? 1 : 0;
}

} // namespace carillon::app
