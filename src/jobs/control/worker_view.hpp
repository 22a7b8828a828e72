// worker_view: what remote control asks of a worker, and what it tells it to do.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

#include "wire/celery/control.hpp"
#include "wire/celery/events.hpp"

namespace carillon::jobs {

// Called on threads of remote control and of the events, not under a lock of theirs. Quick: a slow answer keeps the
// next request waiting. No list is longer than `at_most`.
class worker_view {
public:
    // --- looking
    virtual std::vector<wire::celery::request_info> active(std::size_t at_most) = 0;
    // Accepted and waiting for a thread; not those of scheduled().
    virtual std::vector<wire::celery::request_info> reserved(std::size_t at_most) = 0;
    virtual std::vector<wire::celery::scheduled_info> scheduled(std::size_t at_most) = 0;
    struct held {
        enum class state { active, reserved } is = state::reserved;
        wire::celery::request_info request;
    };
    // Nothing where this worker does not hold it.
    virtual std::optional<held> find(std::string_view id) = 0;
    struct registered_task {
        std::string name;
        std::string rate_limit; // "10/m"; empty: none
    };
    virtual std::vector<registered_task> registered() = 0; // by name
    virtual std::vector<wire::celery::queue_info> queues() = 0;
    // The clock in it is filled in by the caller.
    virtual wire::celery::worker_stats stats() = 0;
    virtual wire::celery::worker_state state() = 0; // for heartbeats
    // Settings by Celery's names. Without secrets, or with them masked.
    virtual object conf() = 0;
    // For people: versions and transports.
    virtual std::string report() = 0;

    // --- doing
    // These ids were added to the revoked ones. What waits here need not be looked at again; with `terminate`, what
    // runs is asked to stop. Gives those ids that this worker holds.
    virtual std::vector<std::string> revoke(const std::vector<std::string>& ids,
                                            bool terminate) = 0;
    // errc::not_found for a task that is not registered, errc::invalid for what is no rate or no limit.
    virtual result<void> rate_limit(const std::string& task, const value& rate) = 0;
    virtual result<void> time_limit(const std::string& task, std::optional<double> hard_s,
                                    std::optional<double> soft_s) = 0;
    // More threads, or fewer where negative. errc::invalid, and nothing is done, beyond what a pool may have.
    virtual result<void> grow(std::int64_t threads) = 0;
    virtual result<void> add_consumer(const std::string& queue) = 0;
    virtual result<void> cancel_consumer(const std::string& queue) = 0;
    // Warm: what runs may end. Returns at once.
    virtual void shutdown() = 0;

protected:
    ~worker_view() = default;
};

} // namespace carillon::jobs
