#include "jobs/queue_core.hpp"

#include <carillon/channels/event.hpp>

namespace carillon::jobs {

namespace {

queue_core::counters declare(metrics& m) {
    const auto total = [&](std::string_view what, std::string_view help) -> counter& {
        return m.add(metric_kind::counter, "carillon_jobs_" + std::string(what) + "_total", help);
    };
    return {
        total("enqueued", "Jobs accepted and on disk"),
        total("started", "Runs of jobs begun"),
        total("succeeded", "Jobs completed"),
        total("failed", "Jobs that failed for good"),
        total("retried", "Runs that failed and will be tried again"),
        total("cancelled", "Jobs cancelled or expired"),
        total("lost",
              "Runs that ended with the death of their worker; the job returned to its queue"),
        total("given_back", "Runs handed back by a worker that stopped"),
        total("rate_limited", "Jobs put off since the rate limit of their task has no room soon")};
}

void observe_depth(metrics& m, const std::shared_ptr<job_store>& store) {
    using depth = job_store::depth;
    const std::pair<const char*, std::int64_t depth::*> states[] = {{"waiting", &depth::ready},
                                                                    {"delayed", &depth::delayed},
                                                                    {"held", &depth::held},
                                                                    {"limited", &depth::limited}};
    for (const auto& [state, member] : states)
        m.observe(metric_kind::gauge, "carillon_jobs_unfinished",
                  "Jobs in the queue, as of the last second",
                  // The registry may outlive the queue.
                  [member = member, weak = std::weak_ptr(store)] {
                      auto alive = weak.lock();
                      return alive ? static_cast<double>(alive->unfinished().*member) : 0.0;
                  },
                  {{"state", state}});
}

} // namespace

counter& queue_core::counters::of(end_state state) noexcept {
    switch (state) {
    case end_state::completed: return succeeded;
    case end_state::failed: return failed;
    case end_state::retried: return retried;
    case end_state::cancelled: return cancelled;
    }
    return failed;
}

std::string cut_text(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max)
        return std::string(text);
    auto end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        --end;
    return std::string(text.substr(0, end));
}

queue_core::queue_core(job_queue_options given, job_services with,
                       std::shared_ptr<job_store> opened)
    : services_(with), log_(with.log ? *with.log : silent_log()),
      own_metrics_(with.counters ? nullptr : std::make_unique<metrics>()),
      counters_(declare(with.counters ? *with.counters : *own_metrics_)), options(std::move(given)),
      store(std::move(opened)) {
    if (with.counters)
        observe_depth(*with.counters, store);
    if (with.counters)
        with.counters->observe(
            metric_kind::gauge, "carillon_jobs_stuck",
            "Threads whose handlers did not leave when their hard time limit passed",
            [count = stuck] { return static_cast<double>(count->load()); });
}

void queue_core::tell_group(const std::string& group, const std::string& event_type,
                            const job_update& update) {
    if (!services_.layer || group.empty())
        return;
    event news(event_type, {{"progress", update.progress},
                            {"status", update.status},
                            {"message", update.message},
                            {"attempt", update.attempt}});
    if (auto sent = services_.layer->group_send(group, std::move(news)); !sent)
        log_.warning("the channel layer refused the news of a job",
                     {{"job", update.id}, {"group", group}, {"error", sent.error().message}});
}

bool queue_core::tell_observer(const job_options& task, const job_update& update) {
    if (!task.observer)
        return true;
    try {
        task.observer(update);
        return true;
    } catch (const std::exception& thrown) {
        log_.error("the observer of a job threw", {{"job", update.id},
                                                   {"task", update.task},
                                                   {"status", update.status},
                                                   {"error", std::string_view(thrown.what())}});
        return false;
    }
}

} // namespace carillon::jobs
