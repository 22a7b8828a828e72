// queue_core: what job_queue and its worker pools share: the store, the services, the counters, and how news is told.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <carillon/base/metrics.hpp>
#include <carillon/jobs/queue.hpp>

#include "jobs/job_store.hpp"
#include "jobs/pulse.hpp"

namespace carillon::jobs {

inline constexpr std::size_t message_chars_max =
    1'000; // of a progress sentence; what is longer is cut
inline constexpr std::size_t error_chars_max = 4'000; // of an error; what is longer is cut

// The first `bytes_max` bytes of a UTF-8 text, without half a character at the end.
std::string cut_text(std::string_view text, std::size_t bytes_max);

class queue_core {
public:
    struct counters {
        counter &enqueued, &started, &succeeded, &failed, &retried, &cancelled, &lost, &given_back,
            &limited;
        counter& of(end_state state) noexcept;
    };

    queue_core(job_queue_options given, job_services with, std::shared_ptr<job_store> opened);

    counters& count() noexcept { return counters_; }
    const job_registry& registry() const noexcept { return services_.registry; }
    logger& log() const noexcept { return log_; }

    // Sends the update to the job's group, if it has one. Never blocks; a layer that refuses is logged.
    void tell_group(const std::string& group, const std::string& event_type,
                    const job_update& update);
    // Calls the observer. False, and logged, when it threw.
    bool tell_observer(const job_options& task, const job_update& update);

private:
    const job_services services_;
    logger& log_;
    std::unique_ptr<metrics> own_metrics_; // where the application brought none
    counters counters_;

public:
    const job_queue_options options;
    // Of the pools in this process: their threads, and those that handlers hold past their hard time limit.
    std::atomic<std::int64_t> threads{0};
    const std::shared_ptr<std::atomic<std::int64_t>> stuck =
        std::make_shared<std::atomic<std::int64_t>>(0);
    // Of the keepers of those pools: each round in which jobs could be taken, and kept theirs.
    pulse keeping{pulse::limits{}};
    // Last: what it settles while it closes still counts.
    const std::shared_ptr<job_store> store;
};

} // namespace carillon::jobs
