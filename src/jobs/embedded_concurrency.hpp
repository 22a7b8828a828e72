// Concurrency limits in queue.db: a job whose key has no place waits as row_state::limited, where no claim looks at it.
//
// A claim takes what is ready; of what it took too much, it puts back, and with it the others of the same key and
// queue. Whenever a job with the key leaves its worker's hands, the next one of each queue is ready again. So wherever
// jobs wait for a place, one of their key is held by a worker, or one of their key and queue is ready. Everything here
// runs on the writer thread, inside its transaction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "db/sqlite.hpp"
#include "jobs/job_store.hpp"

namespace carillon::jobs {

// A job with a limit that was just claimed.
struct limited_claim {
    std::int64_t seq = 0, priority = 0;
    bool counted = false; // this run is in `attempts`
    std::string queue;
    concurrency_limit limit;
};
// Gives those that have no place: they wait for one, and are not the worker's any more.
result<std::vector<std::int64_t>> keep_back(db::sqlite::connection& on,
                                            std::vector<limited_claim> claimed);

// A job with the key is held no more, or is not ready any more.
result<void> free_place(db::sqlite::connection& on, std::string_view key);
// The same, where only the job is known.
result<void> free_place_of(db::sqlite::connection& on, std::int64_t seq);
// For each job with a limit that the worker holds: its key.
result<std::vector<std::string>> keys_held_by(db::sqlite::connection& on, std::int64_t owner);

// Jobs of the queue in workers' hands.
result<std::int64_t> held_of_queue(db::sqlite::connection& on, std::string_view queue);
// Whether jobs of that key and queue wait for a place.
result<bool> has_limited(db::sqlite::connection& on, std::string_view key, std::string_view queue);

} // namespace carillon::jobs
