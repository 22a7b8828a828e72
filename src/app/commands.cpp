#include "app/commands.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "app/runtime.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::app {

int fail(const failure& why) {
    fmt::print(stderr, "error: {}\n", why.message);
    return 1;
}

int migrate(application& site, const settings& config) {
    if (auto made = prepare_data_dir(config.data_dir); !made)
        return fail(made.error());
    auto opened = db::database::open(config.database_url());
    if (!opened)
        return fail(opened.error());
    const auto applied = db::migrate(**opened, site.migrations());
    if (!applied)
        return fail(applied.error());
    for (const auto& step : *applied)
        fmt::print("applied {}\n", step);
    if (applied->empty())
        fmt::print("the database is up to date\n");
    return 0;
}

namespace {

// A JSON array is positional arguments, an object named ones.
result<job_arguments> arguments_of(const std::string& json) {
    auto parsed = parse_json(json.empty() ? "[]" : json);
    if (!parsed)
        return parsed.error();
    if (auto* named = parsed->if_object())
        return job_arguments(std::move(*named));
    if (auto* positional = parsed->if_array())
        return job_arguments(std::move(*positional));
    return failure{errc::invalid,
                   "the arguments must be a JSON array (positional) or object (named)"};
}

} // namespace

int call(application& site, const settings& config, const std::string& task,
         const std::string& json, bool wait) {
    auto arguments = arguments_of(json);
    if (!arguments)
        return fail(arguments.error());
    auto log = log_for(config);
    metrics counters;
    auto started = runtime::start(site, config, *log, counters, nullptr);
    if (!started)
        return fail(started.error());
    auto& jobs = (*started)->jobs();
    auto id = jobs.enqueue(task, *std::move(arguments));
    if (!id)
        return fail(id.error());
    if (!wait) {
        fmt::print("{}\n", *id);
        return 0;
    }
    const auto done = jobs.wait(*id, steady_time::max());
    if (!done)
        return fail(done.error());
    if (done->state != job_state::completed)
        return fail(
            {errc::internal, fmt::format("job {} {}: {}", *id, name_of(done->state), done->error)});
    fmt::print("{}\n", to_json(done->result));
    return 0;
}

namespace {

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

} // namespace

int inspect(application& site, const settings& config, const std::string& what) {
    auto log = log_for(config);
    metrics counters;
    auto started = runtime::start(site, config, *log, counters, nullptr);
    if (!started)
        return fail(started.error());
    const auto shown = inspected((*started)->jobs(), what);
    if (!shown)
        return fail(shown.error());
    for (const auto& one : *shown)
        fmt::print("{}\n", to_json(one));
    if (shown->empty())
        fmt::print(stderr, "{}\n",
                   what == "active" || what == "queues" ? "nothing there" : "no worker answers");
    return what == "ping" && shown->empty() ? 1 : 0;
}

} // namespace carillon::app
