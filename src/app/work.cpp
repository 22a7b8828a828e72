#include <algorithm>
#include <future>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/beat.hpp"
#include "app/commands.hpp"
#include "app/health_port.hpp"
#include "app/job_settings.hpp"
#include "app/layer_settings.hpp"
#include "app/remote_control.hpp"
#include "app/stop_signals.hpp"
#include <carillon/jobs/worker_pool.hpp>

namespace carillon::app {

namespace {

// Those of the site's routes whose channels were asked for.
result<background_routes> chosen_routes(background_routes all,
                                        const std::vector<std::string>& channels) {
    background_routes chosen;
    for (const auto& name : channels) {
        const auto found = std::ranges::find(all, name, &background_route::channel);
        if (found == all.end()) {
            std::vector<std::string> known;
            for (const auto& one : all)
                known.push_back(one.channel);
            return failure{errc::invalid,
                           fmt::format("no background consumer reads the channel '{}'; {}", name,
                                       known.empty()
                                           ? "this site has none"
                                           : fmt::format("known: {}", fmt::join(known, ", ")))};
        }
        chosen.push_back(*found);
    }
    return chosen;
}

// What a worker process runs: jobs, background consumers, or both.
class crew {
public:
    result<void> start(application& site, const worker_arguments& arguments, runtime& parts,
                       stop_signals& signals);
    // Running work has until the grace is over, then it is handed back.
    struct stopped {
        bool jobs_are_gone, consumers_are_gone; // no handler stayed
    };
    stopped stop(std::chrono::seconds grace, logger& log);
    // While others may still work with all of it: jobs go back to their queues. The process ends then.
    void quit(logger& log);
    const std::string& name() const noexcept { return name_; }
    // For its own parts; it outlives those who ask.
    void add_checks(readiness& ready) const;

private:
    result<void> start_consumers(application& site, const worker_arguments& arguments,
                                 services& shared);

    std::string name_ = "background";
    std::unique_ptr<jobs::beat> beat_;
    std::unique_ptr<worker_pool> pool_;
    std::unique_ptr<jobs::worker_node> node_; // goes before the pool
    background_routes routes_;                // outlives the workers
    std::unique_ptr<background_workers> consumers_;
};

result<void> crew::start_consumers(application& site, const worker_arguments& arguments,
                                   services& shared) {
    auto chosen = chosen_routes(site.background(shared), arguments.channels);
    if (!chosen)
        return chosen.error();
    routes_ = *std::move(chosen);
    auto started = background_workers::start(routes_, arguments.threads, shared.layer, shared.log,
                                             shared.counters);
    if (!started)
        return started.error();
    consumers_ = *std::move(started);
    return {};
}

result<void> crew::start(application& site, const worker_arguments& arguments, runtime& parts,
                         stop_signals& signals) {
    if (!arguments.channels.empty())
        if (auto started = start_consumers(site, arguments, parts.shared()); !started)
            return started;
    if (parts.shared().config.beat) {
        auto beating = start_beat(site, parts);
        if (!beating)
            return beating.error();
        beat_ = *std::move(beating);
    }
    if (arguments.queues.empty())
        return {};
    worker_options options;
    options.name = arguments.name;
    options.queues = arguments.queues;
    options.threads = arguments.threads;
    auto pool = worker_pool::start(parts.jobs(), options);
    if (!pool)
        return pool.error();
    pool_ = *std::move(pool);
    name_ = pool_->name();
    node_ = attach_node(site, parts, *pool_, arguments.task_events, [&signals] { signals.ask(); });
    return {};
}

void crew::add_checks(readiness& ready) const {
    if (beat_)
        ready.add("beat", [this] { return beat_->ping(); });
}

crew::stopped crew::stop(std::chrono::seconds grace, logger& log) {
    if (beat_)
        beat_->stop();
    // Both at once: they share the grace.
    auto handlers = std::async(std::launch::async, [this, until = now() + grace] {
        return !consumers_ || consumers_->stop(until);
    });
    stop_report report;
    if (pool_)
        report = pool_->stop(now() + grace, now() + grace + std::chrono::seconds(5));
    node_.reset();
    const bool finished = handlers.get();
    log.info("worker stopped", {{"finished", report.finished},
                                {"handed_back", report.returned},
                                {"abandoned", report.abandoned},
                                {"consumers_finished", finished}});
    return {report.clean(), finished};
}

void crew::quit(logger& log) {
    if (!pool_)
        return;
    const auto report = pool_->quit(now() + cold_stop_limit);
    log.warning("worker was told to quit", {{"finished", report.finished},
                                            {"handed_back", report.returned},
                                            {"abandoned", report.abandoned}});
}

} // namespace

int work(application& site, const settings& config, worker_arguments arguments) {
    if (arguments.queues.empty() && arguments.channels.empty())
        arguments.queues = worker_options().queues;
    if (!arguments.channels.empty() && !layer_on_redis(config))
        return fail({errc::invalid,
                     "with the memory layer channels live in serve, which runs their background "
                     "consumers itself; worker --channels needs --channel-layer redis://…"});
    stop_signals signals;
    auto log = log_for(config);
    metrics counters;
    auto listeners = health_port::listen(config);
    if (!listeners)
        return fail(listeners.error());
    auto started = runtime::start(site, config, *log, counters, nullptr);
    if (!started)
        return fail(started.error());
    auto& parts = **started;
    crew working;
    if (auto begun = working.start(site, arguments, parts, signals); !begun)
        return fail(begun.error());
    readiness ready;
    add_site_checks(ready, parts.shared());
    working.add_checks(ready);
    const health_port health(*std::move(listeners), parts.shared(), ready);
    log->info("worker ready",
              {{"name", working.name()},
               {"threads", arguments.threads},
               {"broker", shown_broker(config)},
               {"health", health.address()},
               {"queues", fmt::format("{}", fmt::join(arguments.queues, ","))},
               {"channels", fmt::format("{}", fmt::join(arguments.channels, ","))}});
    const auto quit = [&] {
        working.quit(*log);
        parts.flush_events(std::chrono::seconds(1));
    };
    if (signals.wait() == stop_signals::way::cold)
        stop_signals::end_cold(quit);
    ready.leave();
    log->info("worker stops: running jobs finish or are handed back");
    signals.expect_more(quit);
    const auto stopped = working.stop(config.shutdown_grace, *log);
    parts.flush_events(std::chrono::seconds(2));
    signals.close();
    if (!stopped.jobs_are_gone)
        stop_signals::end_cold(quit);
    return stopped.consumers_are_gone ? 0 : 1; // a consumer that stayed is waited for
}

} // namespace carillon::app
