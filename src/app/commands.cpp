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

} // namespace carillon::app
