// job_store: what the job queue and its worker pools need of whatever holds the jobs. The embedded queue (SQLite) and
// Celery's brokers implement it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/exception.hpp"
#include "wire/celery/message.hpp"
#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/job.hpp>
#include <carillon/jobs/queue.hpp>

namespace carillon::jobs {

struct new_job {
    std::string queue, group, event_type;
    wire::celery::message message; // id, task, priority, eta and expires are in it
    std::string unique_key;        // empty: none
};

struct claimed_job {
    std::int64_t seq = 0; // the store's number of this delivery
    std::string id, task, queue;
    std::int64_t priority = 0;
    std::int64_t attempts = 0, retries = 0, losses = 0;
    bool counted = false; // this run is in `attempts`
    bool cancel = false;
    std::optional<utc_time> expires;
    std::string group, event_type;
    // The message, or why it cannot be read: such a job fails without running.
    result<wire::celery::message> message = failure{};
};

// A job taken by a worker, as far as the store needs it.
struct held_job {
    std::int64_t seq = 0;
    bool counted = false;
};

enum class end_state : std::uint8_t { completed, failed, cancelled, retried };

// How one run of a job ended.
struct run_end {
    held_job job;
    std::int64_t owner = 0;
    end_state state = end_state::completed;
    bool ran = true;       // false: settled without running, and not counted
    bool rejected = false; // nobody here can run it (unknown task, unreadable): not for another try
    std::int64_t progress = 0;
    std::string message;
    value result;      // where completed
    std::string error; // for people
    wire::celery::exception_record
        exception; // the same for Python, where failed, cancelled or retried
    std::string traceback;
    std::optional<wire::celery::message>
        next; // where retried: the message of the next try, with its eta
};

// Thread-safe. Every function that returns a result may block and is called on worker or pool threads.
class job_store {
public:
    virtual ~job_store() = default;

    // --- jobs, from outside
    // `done` hears that it is safe: on disk, or confirmed by the broker. With a unique key that another unfinished job
    // holds, nothing is added and the id of that job is told.
    virtual void add(new_job job, std::function<void(const result<std::string>& id)> done) = 0;
    // What the job was before; nothing where there is none. One that is not finished is marked, and whoever runs it hears
    // of it.
    virtual result<std::optional<job_record>> request_cancel(std::string_view id) = 0;
    // Makes a marked job that is still waiting cancelled. False when a worker has taken it, which will settle it.
    virtual result<bool> settle_cancelled(std::string_view id, const std::string& message) = 0;
    // False when the job is not failed or cancelled; nothing where there is none.
    virtual result<std::optional<bool>> requeue(std::string_view id) = 0;

    // --- jobs, from their worker
    virtual result<std::vector<claimed_job>> claim(std::int64_t owner,
                                                   std::span<const std::string> queues,
                                                   std::uint32_t now_max,
                                                   std::uint32_t ahead_max) = 0;
    // `done` hears whether the job was still this owner's. Kept trying until it is safe.
    virtual void end_run(run_end end, std::function<void(bool held)> done) = 0;
    virtual void note_progress(std::int64_t seq, std::int64_t owner, std::int64_t progress,
                               std::string message) = 0;
    virtual void note_started(std::int64_t seq, std::int64_t owner) = 0;
    virtual void give_back(std::int64_t owner, std::vector<held_job> jobs) = 0;

    // --- workers
    virtual result<std::int64_t> add_worker(const worker_info& worker,
                                            std::chrono::milliseconds lease) = 0;
    // False when the worker was declared dead: it holds nothing any more.
    virtual result<bool> heartbeat(std::int64_t owner, std::uint64_t processed) = 0;
    // Looks for workers that died and returns their jobs; gives the number of those jobs. Called a few times a second.
    virtual result<std::int64_t> tend(std::int64_t owner) = 0;
    virtual result<void> remove_worker(std::int64_t owner, const std::string& why) = 0;
    virtual result<std::vector<worker_info>> workers() = 0;

    // --- reading
    virtual result<std::optional<job_record>> get(std::string_view id) = 0;
    virtual result<job_record> wait(std::string_view id, steady_time deadline) = 0;
    virtual result<std::vector<job_record>> list(const job_filter& filter) = 0;
    virtual result<std::vector<queue_info>> queues() = 0;
    virtual result<bool> has_ready(std::span<const std::string> queues) = 0;
    virtual result<std::optional<utc_time>> next_eta() = 0;
    virtual result<std::vector<std::int64_t>> cancelled_of(std::int64_t owner) = 0;
    struct depth {
        std::int64_t ready = 0, delayed = 0, held = 0;
        std::int64_t all() const noexcept { return ready + delayed + held; }
    };
    virtual depth unfinished() const = 0;
    virtual std::size_t pending() const = 0; // operations under way
    // The store answers, and a worker that was added is able to take work.
    virtual result<void> ping() = 0;

    // --- changes
    using listener = std::function<void()>;
    virtual std::uint64_t subscribe(listener heard) = 0;
    virtual void unsubscribe(std::uint64_t subscription) = 0;

    virtual result<std::int64_t> purge(utc_time before) = 0;
};

} // namespace carillon::jobs
