#include "jobs/worker_node.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "jobs/broker_store.hpp"
#include "jobs/control/node.hpp"
#include "jobs/pool.hpp"

namespace carillon::jobs {

namespace {

namespace celery = wire::celery;

double unix_seconds(steady_time at) {
    const auto when = utc_now() + std::chrono::duration_cast<utc_time::duration>(at - now());
    return std::chrono::duration<double>(when.time_since_epoch()).count();
}

object rusage_now() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return object{{"utime", seconds(used.ru_utime)}, {"stime", seconds(used.ru_stime)},
                  {"maxrss", used.ru_maxrss},        {"minflt", used.ru_minflt},
                  {"majflt", used.ru_majflt},        {"nvcsw", used.ru_nvcsw},
                  {"nivcsw", used.ru_nivcsw}};
}

} // namespace

class worker_node::impl final : public worker_view {
public:
    impl(broker_store& store, worker_pool& pool, worker_node_options options, logger& log,
         metrics& counted)
        : store_(store), pool_(pool.inside()), options_(std::move(options)), log_(log),
          events_(
              store.through(), clock_, [this] { return state(); }, event_options_of(), counted),
          node_(store.through(), *this, clock_, events_, store.revoked(), control_options_of(), log,
                counted) {
        store_.set_ears(
            {[this](celery::message_parts request) { node_.on_control(std::move(request)); },
             &events_});
        node_.start();
        if (store_.through().status())
            events_.on_up();
    }
    ~impl() {
        node_.stop();
        events_.stop();
        store_.set_ears({});
    }

    std::vector<celery::request_info> active(std::size_t at_most) override {
        std::vector<celery::request_info> all;
        for (const auto& each : pool_.shown(at_most, 0))
            all.push_back(info_of(each));
        return all;
    }
    std::vector<celery::request_info> reserved(std::size_t at_most) override {
        std::vector<celery::request_info> all;
        for (const auto& each : pool_.shown(0, at_most))
            all.push_back(info_of(each));
        return all;
    }
    std::vector<celery::scheduled_info> scheduled(std::size_t at_most) override;
    std::optional<held> find(std::string_view id) override {
        const auto found = pool_.find(id);
        if (!found)
            return std::nullopt;
        return held{found->begun ? held::state::active : held::state::reserved, info_of(*found)};
    }
    std::vector<registered_task> registered() override {
        std::vector<registered_task> all;
        for (auto& name : pool_.core()->registry().names()) {
            auto rate = pool_.rate_of(name);
            all.push_back({std::move(name), std::move(rate)});
        }
        return all;
    }
    std::vector<celery::queue_info> queues() override {
        std::vector<celery::queue_info> all;
        for (const auto& name : pool_.queues()) {
            celery::queue_info one;
            one.name = one.exchange = one.routing_key = name;
            all.push_back(std::move(one));
        }
        return all;
    }
    celery::worker_stats stats() override;
    celery::worker_state state() override {
        celery::worker_state shown;
        shown.active = static_cast<std::int64_t>(pool_.active());
        shown.processed = static_cast<std::int64_t>(pool_.processed());
        ::getloadavg(shown.load.data(), static_cast<int>(shown.load.size()));
        shown.version = options_.version;
        return shown;
    }
    object conf() override { return options_.conf; }
    std::string report() override {
        return fmt::format("software -> carillon:{}\ntransport -> {}\nqueues -> {}",
                           options_.version, store_.through().name(),
                           fmt::join(pool_.queues(), ","));
    }

    std::vector<std::string> revoke(const std::vector<std::string>& ids, bool terminate) override {
        std::vector<std::string> mine;
        std::ranges::copy_if(ids, std::back_inserter(mine),
                             [this](const auto& id) { return pool_.find(id).has_value(); });
        store_.stop_jobs(ids, terminate);
        return mine;
    }
    result<void> rate_limit(const std::string& task, const value& rate) override {
        auto done = pool_.limit_rate(task, rate);
        if (done)
            log_.info("remote control set the rate limit of a task",
                      {{"task", task}, {"rate", pool_.rate_of(task)}});
        return done;
    }
    result<void> time_limit(const std::string& task, std::optional<double> hard_s,
                            std::optional<double> soft_s) override {
        auto done = pool_.limit_time(task, {soft_s, hard_s});
        if (done)
            log_.info(
                "remote control set the time limits of a task",
                {{"task", task}, {"soft_s", soft_s.value_or(0)}, {"hard_s", hard_s.value_or(0)}});
        return done;
    }
    result<void> grow(std::int64_t threads) override { return pool_.resize(threads); }
    // What was so already is answered as if it were new, as Celery's workers answer.
    result<void> add_consumer(const std::string& queue) override {
        auto added = pool_.serve_queue(queue);
        if (!added)
            return added.error();
        if (*added)
            log_.info("remote control added a queue", {{"queue", queue}});
        return {};
    }
    result<void> cancel_consumer(const std::string& queue) override {
        if (pool_.leave_queue(queue))
            log_.info("remote control took a queue away", {{"queue", queue}});
        return {};
    }
    void shutdown() override {
        if (options_.shutdown)
            return options_.shutdown();
        log_.warning("remote control asked this worker to end; it is part of a server and stays");
    }

private:
    event_options event_options_of() const {
        event_options made;
        made.node = pool_.name;
        made.task_events = options_.task_events;
        return made;
    }
    control_options control_options_of() const {
        control_options made;
        made.node = pool_.name;
        return made;
    }
    celery::request_info info_of(const celery::message& m, const std::string& queue) const {
        celery::request_info shown;
        shown.id = m.id;
        shown.name = shown.type = m.task;
        shown.args = m.args;
        shown.kwargs = m.kwargs;
        shown.hostname = pool_.name;
        shown.exchange = shown.routing_key = queue;
        shown.priority = m.priority;
        return shown;
    }
    celery::request_info info_of(const worker_pool::impl::shown_run& run) const {
        celery::request_info shown;
        if (run.job.message)
            shown = info_of(**run.job.message, run.job.queue);
        shown.id = run.job.id;
        shown.name = shown.type = run.job.task;
        if (run.begun) {
            shown.time_start = unix_seconds(*run.begun);
            shown.worker_pid = ::getpid();
        }
        return shown;
    }

    broker_store& store_;
    worker_pool::impl& pool_;
    const worker_node_options options_;
    logger& log_;
    lamport_clock clock_;
    event_sender events_;
    control_node node_;
};

std::vector<celery::scheduled_info> worker_node::impl::scheduled(std::size_t at_most) {
    std::vector<celery::scheduled_info> all;
    for (const auto& each : store_.scheduled(at_most)) {
        const auto& parts = each.received.parts;
        const auto message = celery::decode(parts.headers, parts.properties, parts.body);
        if (!message)
            continue;
        celery::scheduled_info one;
        one.eta = each.eta;
        one.priority = message->priority;
        one.request = info_of(*message, each.received.queue);
        all.push_back(std::move(one));
    }
    return all;
}

celery::worker_stats worker_node::impl::stats() {
    celery::worker_stats shown;
    shown.total = pool_.runs_by_task();
    shown.pid = ::getpid();
    shown.uptime_s =
        std::chrono::duration_cast<std::chrono::seconds>(utc_now() - pool_.started()).count();
    shown.concurrency = static_cast<std::int64_t>(pool_.size());
    shown.processes = {shown.pid};
    const auto& name = store_.through().name();
    shown.broker_transport = name.substr(0, name.find("://"));
    if (const auto at = name.find("://"); at != std::string::npos)
        shown.broker_host = name.substr(at + 3);
    shown.rusage = rusage_now();
    return shown;
}

worker_node::worker_node(std::unique_ptr<impl> owned) : impl_(std::move(owned)) {}
worker_node::~worker_node() = default;

std::unique_ptr<worker_node> worker_node::attach(job_queue& queue, worker_pool& pool,
                                                 worker_node_options options, logger& log,
                                                 metrics& counted) {
    auto* store = dynamic_cast<broker_store*>(queue.core()->store.get());
    if (!store)
        return nullptr;
    return std::unique_ptr<worker_node>(
        new worker_node(std::make_unique<impl>(*store, pool, std::move(options), log, counted)));
}

} // namespace carillon::jobs
