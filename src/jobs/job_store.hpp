// job_store: what the job queue and its worker pools need of whatever holds the jobs. The embedded queue (SQLite) and
// Celery's brokers implement it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/exception.hpp"
#include "wire/celery/message.hpp"
#include "wire/celery/signature.hpp"
#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/job.hpp>
#include <carillon/jobs/queue.hpp>
#include <carillon/jobs/registry.hpp>

namespace carillon::jobs {

// Shared by whoever runs a job and the store that settles it; never changed.
using shared_message = std::shared_ptr<const wire::celery::message>;

struct new_job {
    std::string queue;
    wire::celery::message
        message;            // id, task, priority, eta, expires, group and event type are in it
    std::string unique_key; // empty: none
};

struct claimed_job {
    std::int64_t seq = 0; // the store's number of this delivery
    std::string id, task, queue;
    std::int64_t priority = 0;
    std::int64_t attempts = 0, retries = 0, losses = 0;
    bool counted = false; // this run is in `attempts`
    bool cancel = false;
    bool limited = false; // the store has to know when it is held no more
    std::optional<utc_time> expires;
    std::string group, event_type;
    // The message, or why it cannot be read: such a job fails without running.
    result<shared_message> message = failure{};
    // Where a store leaves it to the thread that runs the job to read the message: as it lies there. Many threads read
    // at once what only one claims.
    std::optional<wire::celery::encoded_message> unread;
    void read();
};

// A job taken by a worker, as far as the store needs it.
struct held_job {
    std::int64_t seq = 0;
    bool counted = false;
    bool limited = false; // of a run that ends: as it was claimed
};

// One that is to be taken again at a later time.
struct put_off {
    held_job job;
    utc_time until;
};

enum class end_state : std::uint8_t { completed, failed, cancelled, retried };

// How one run of a job ended.
struct run_end {
    held_job job;
    std::int64_t owner = 0;
    shared_message of; // the message of the job; null where it cannot be read
    end_state state = end_state::completed;
    bool ran = true;       // false: settled without running, and not counted
    bool rejected = false; // nobody here can run it (unknown task, unreadable): not for another try
    std::int64_t progress = 0;
    std::string message; // the sentence that goes with the progress
    value result;        // where completed
    std::string error;   // for people
    // The same for Python, where failed, cancelled or retried.
    wire::celery::exception_record exception;
    std::string traceback;
    shared_message next; // where retried: the message of the next try, with its eta
};

// Thread-safe. Every function that returns a result may block and is called on worker or pool threads; the others
// return at once.
class job_store {
public:
    virtual ~job_store() = default;

    // --- jobs, from outside
    // `done` hears that it is safe: on disk, or confirmed by the broker. With a unique key that another unfinished job
    // holds, nothing is added and the id of that job is told. errc::conflict, errc::too_large, errc::invalid,
    // errc::unavailable.
    virtual void add(new_job job, std::function<void(const result<std::string>& id)> done) = 0;
    // Everything that a signature amounts to; `done` hears what identifies its result. errc::bad_request and the
    // failures of add().
    virtual void send(const wire::celery::signature& workflow,
                      std::function<void(const result<wire::celery::result_tuple>& sent)> done) = 0;
    // What the job was before; nothing where there is none. One that is not finished is marked, and whoever runs it
    // hears of it.
    virtual result<std::optional<job_record>> request_cancel(std::string_view id) = 0;
    // Makes a marked job that is still waiting cancelled. False when a worker has taken it, which will settle it.
    virtual result<bool> settle_cancelled(std::string_view id, const std::string& message) = 0;
    // False when the job is not failed or cancelled; nothing where there is none.
    virtual result<std::optional<bool>> requeue(std::string_view id) = 0;

    // --- jobs, from their worker
    // Takes up to `now_max` jobs to run at once, and `ahead_max` more that never lost a worker. Queues take turns in
    // going first. Empty, without much cost, where nothing is ready.
    virtual result<std::vector<claimed_job>> claim(std::int64_t owner,
                                                   std::span<const std::string> queues,
                                                   std::uint32_t now_max,
                                                   std::uint32_t ahead_max) = 0;
    // The run of a claimed job begins. False when the job is known not to be this owner's any more: it is not to run.
    virtual bool begin_run(std::int64_t seq, std::int64_t owner) = 0;
    // A reserved job has run for a while: its run is counted now rather than at its end.
    virtual void note_started(std::int64_t seq, std::int64_t owner) = 0;
    virtual void note_progress(std::int64_t seq, std::int64_t owner, std::int64_t progress,
                               std::string message) = 0;
    // `done` hears whether the job was still this owner's. Kept trying until it is safe.
    virtual void end_run(run_end end, std::function<void(bool held)> done) = 0;
    // Back to the queue at once; these runs do not count.
    virtual void give_back(std::int64_t owner, std::vector<held_job> jobs) = 0;
    // Jobs that have not begun: back to the queue, where nobody takes them before their time.
    virtual void postpone(std::int64_t owner, std::vector<put_off> jobs) = 0;

    // --- workers
    // The worker is known, and is no longer when its process ends or it does not beat for its lease.
    virtual result<std::int64_t> add_worker(const worker_info& worker,
                                            std::chrono::milliseconds lease) = 0;
    // The worker serves these queues from now on: claim() will name them.
    virtual void serve(std::int64_t owner, std::vector<std::string> queues) = 0;
    // This worker takes no more jobs.
    virtual void rest(std::int64_t owner) { static_cast<void>(owner); }
    // False when the worker was declared dead: it holds nothing any more.
    virtual result<bool> heartbeat(std::int64_t owner, std::uint64_t processed) = 0;
    // Looks for workers that died and returns their jobs; gives the number of those jobs. Called a few times a second.
    virtual result<std::int64_t> tend(std::int64_t owner) = 0;
    // What it still holds returns.
    virtual result<void> remove_worker(std::int64_t owner, const std::string& why) = 0;
    virtual result<std::vector<worker_info>> workers() = 0;
    // For a program that ends while others may still call this: returns once what was told to it is on disk or with the
    // broker, or after a few seconds. What is called afterwards may have no effect.
    virtual void leave() = 0;

    // --- reading
    virtual result<std::optional<job_record>> get(std::string_view id) = 0;
    // The record once it is final. errc::timed_out at the deadline, errc::not_found.
    virtual result<job_record> wait(std::string_view id, steady_time deadline) = 0;
    virtual result<std::vector<job_record>> list(const job_filter& filter) = 0;
    virtual result<std::vector<queue_info>> queues() = 0;
    // When the next delayed job may start, as far as this store has to wake somebody for it.
    virtual result<std::optional<utc_time>> next_eta() = 0;
    virtual result<std::vector<std::int64_t>> cancelled_of(std::int64_t owner) = 0;
    // How many jobs are not finished, as of the last second or so.
    struct depth {
        std::int64_t ready = 0, delayed = 0, held = 0;
        std::int64_t limited = 0; // wait for a place of a concurrency limit
        std::int64_t all() const noexcept { return ready + delayed + held + limited; }
    };
    virtual depth unfinished() const = 0;
    virtual std::size_t pending() const = 0; // operations under way
    // The store answers, and a worker that was added is able to take work.
    virtual result<void> ping() = 0;

    // --- changes
    // Called, on a thread of the store and without delay, after each change that a worker may want to hear of. Must not
    // block nor call the store.
    using listener = std::function<void()>;
    virtual std::uint64_t subscribe(listener heard) = 0;
    // Once it returns the listener is not called any more.
    virtual void unsubscribe(std::uint64_t subscription) = 0;
};

// The channel-layer group that hears of a job travels in headers of our own: any broker keeps them, and Celery's
// workers pass them on.
struct group_headers {
    std::string group, event_type; // both empty: nobody hears
};
void put_group(wire::celery::message& m, const group_headers& heard_by);
// What is malformed is read as none: the message may be a stranger's.
group_headers group_of(const wire::celery::message& m);

// How many jobs with a key may run at once. It travels in headers of our own, too.
struct concurrency_limit {
    std::string key;
    std::int64_t max = 0; // 0: no limit
};
inline constexpr std::int64_t concurrency_limit_max = 1'000'000;
// Writes what is set of it.
void put_limit(wire::celery::message& m, const concurrency_limit& own);
// What the message says, and where it says nothing the task. A header that is malformed is read as none.
concurrency_limit limit_of(const wire::celery::message& m, const job_registry& registry);

} // namespace carillon::jobs
