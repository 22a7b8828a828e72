// census: who among the workers of a data folder is dead. Pure bookkeeping: facts in, verdicts out.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/jobs/queue.hpp>

namespace carillon::jobs {

struct worker_row {
    worker_info shown;
    std::int64_t seq = 0, beat = 0;
    std::chrono::milliseconds lease{};
};

// A worker is dead when nobody holds its lock file: its process has ended. A worker whose lock is held but whose
// heartbeat has not moved for a lease stands still, and counts as dead too. The lease is measured on the clock of
// whoever watches, from the moment it first saw that heartbeat: a wall clock that jumps kills nobody.
class census {
public:
    struct verdict {
        std::int64_t seq;
        bool process_ended;
    };
    // `lock_held` in the order of `workers`. Those that are gone are forgotten.
    std::vector<verdict> dead_among(const std::vector<worker_row>& workers,
                                    const std::vector<bool>& lock_held, steady_time at);

private:
    struct sighting {
        std::int64_t beat;
        steady_time first_seen;
    };
    std::map<std::int64_t, sighting> seen_;
};

} // namespace carillon::jobs
