// ledger: what the workers of one broker must know of each other before a run begins: who holds the places of jobs with
// a concurrency limit, and which runs of a job began and never ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/result.hpp>

namespace carillon::jobs {

struct place {
    std::string key;
    std::int64_t max = 0; // that may be held of it
};

// What is asked for one delivery before it begins.
struct run_request {
    std::string holder;        // names this delivery among those of all workers
    std::vector<place> places; // all of them are given, or none
    std::string
        counted_id; // of a job whose message was delivered before: its runs are counted; empty: no
};

struct run_permit {
    bool given = false;
    std::int64_t losses = 0; // runs of counted_id that began and did not end, without this one
};

// Thread-safe. Nothing waits.
class ledger {
public:
    virtual ~ledger() = default;

    // False: losses are not known.
    virtual bool counts_losses() const noexcept = 0;
    // Tells once, possibly before this returns; also at the end of the ledger (errc::cancelled). errc::unavailable.
    // A request that was granted and asked again is granted again.
    virtual void ask(run_request wanted,
                     std::function<void(const result<run_permit>&)> answered) = 0;
    // What was given is given up; for one that was not, nothing happens. `ended`: the job needs no count any more. A
    // request asked for afterwards finds the places free.
    virtual void leave(const run_request& given, bool ended) = 0;
    // Those that are held: what is not kept for place_life is free again. To be called a few times in that span.
    virtual void keep(const std::vector<run_request>& held) = 0;
};

struct ledger_options {
    std::string url;       // redis:// and its kin
    std::string keyprefix; // Celery's global_keyprefix
    std::chrono::milliseconds place_life{15'000};
    std::chrono::seconds count_life{86'400}; // of the runs of one job, from the last of them on
    std::chrono::milliseconds timeout{5'000};
};

// Knows the workers of this process alone.
std::unique_ptr<ledger> make_local_ledger();
// Over all workers with the same Redis. Connects when it is asked for the first time. errc::invalid for the URL.
result<std::unique_ptr<ledger>> make_redis_ledger(const ledger_options& options, logger& log,
                                                  metrics& counted);

} // namespace carillon::jobs
