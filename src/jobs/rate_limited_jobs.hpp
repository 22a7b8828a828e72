// rate_limited_jobs: the jobs of a worker that wait for the rate limit of their task, so that no thread has to.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <carillon/base/clock.hpp>

#include "jobs/control/rate_limits.hpp"
#include "jobs/job_store.hpp"

namespace carillon::jobs {

// Not thread-safe. Each task's jobs go in the order in which they came.
class rate_limited_jobs {
public:
    struct bounds {
        // Jobs that wait here, and for how long. What comes on top, or has to wait for longer, goes to the store, so
        // that other workers can take it and this one goes on to other tasks.
        std::size_t count = 1'000;
        std::chrono::seconds wait{60};
        std::chrono::seconds put_off{300}; // to the store for that long at most: limits change
    };
    // The limits outlive it.
    explicit rate_limited_jobs(rate_limits& limits) : rate_limited_jobs(limits, bounds()) {}
    rate_limited_jobs(rate_limits& limits, bounds given) : limits_(limits), bounds_(given) {}

    enum class place {
        start, // it may start, and its token is taken
        here,  // it was moved away and waits here
        store, // it is to be put off until `until`
    };
    struct admission {
        place where = place::start;
        steady_time until{};
    };
    // A job that is cancelled or expired needs no token.
    admission admit(claimed_job& job, steady_time at);

    // Up to `count` of those that wait here and may start by now; their tokens are taken.
    std::vector<claimed_job> due(std::size_t count, steady_time at);
    // When the next one may start.
    std::optional<steady_time> next(steady_time at) const;

    // The slots that were given away do not count any more: the limit of the task has changed.
    void forget_slots(const std::string& task);
    // Marks these as cancelled, which makes them due.
    void cancel(const std::function<bool(std::int64_t seq)>& wanted);
    std::size_t size() const noexcept { return size_; }
    std::vector<claimed_job> take_all();
    const claimed_job* find(std::string_view id) const;
    // The first of them.
    std::vector<claimed_job> show(std::size_t count) const;

private:
    struct line {
        std::deque<claimed_job> waiting;
        steady_time last_given{}; // the last slot that a job was put off to
    };
    static bool needs_no_token(const claimed_job& job);

    rate_limits& limits_;
    const bounds bounds_;
    std::map<std::string, line, std::less<>> lines_; // of the tasks that had to wait
    std::size_t size_ = 0;
};

} // namespace carillon::jobs
