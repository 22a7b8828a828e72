// embedded_store: the job queue as a SQLite file that several processes share. Facts only: it runs nothing and tells
// nobody.
//
// Every write goes through one group_commit and is on disk when it is reported. A job is held by at most one worker
// at a time; what a worker writes about a job that it no longer holds changes nothing. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/job.hpp>
#include <carillon/jobs/queue.hpp>

#include "jobs/group_commit.hpp"
#include "jobs/store_schema.hpp"

namespace carillon::jobs {

struct new_job {
    std::string id, task, queue, group, event_type;
    std::int64_t priority = 0;
    std::optional<utc_time> eta, expires;
    std::string headers, properties, body;
};

struct claimed_job {
    std::int64_t seq = 0;
    std::string id, task, queue;
    std::int64_t priority = 0;
    std::int64_t attempts = 0, retries = 0, losses = 0;
    bool counted = false; // this run is in `attempts`
    bool cancel = false;
    std::optional<utc_time> expires;
    std::string group, event_type;
    std::string headers, properties, body;
};

// A job taken by a worker, as far as the store needs it.
struct held_job {
    std::int64_t seq = 0;
    bool counted = false;
};

// How one run of a job ended.
struct run_end {
    held_job job;
    std::int64_t owner = 0;
    row_state state = row_state::completed; // a final one, or delayed: tried again at `eta`
    bool ran = true;                        // false: settled without running, and not counted
    std::int64_t progress = 0;
    std::string message;
    std::optional<std::string> result_json;
    std::string error;
    std::optional<utc_time> eta;
    std::string headers; // of the message for the next try
};

struct worker_row {
    worker_info shown;
    std::int64_t seq = 0, beat = 0;
    std::chrono::milliseconds lease{};
};

inline constexpr std::int64_t purge_rows_max = 1'000; // removed in one transaction

class embedded_store {
public:
    static result<std::shared_ptr<embedded_store>> open(const job_queue_options& options,
                                                        logger& log);
    ~embedded_store();

    // --- jobs, from outside
    void add(const new_job& job, std::function<void(const result<void>&)> done);
    // What the job was before; nothing where there is none. A job that is not finished is marked.
    result<std::optional<job_record>> request_cancel(std::string_view id);
    // Makes a marked job that is still waiting cancelled. False when a worker has taken it, which will settle it.
    result<bool> settle_cancelled(std::string_view id, const std::string& message);
    // False when the job is not failed or cancelled; nothing where there is none.
    result<std::optional<bool>> requeue(std::string_view id);

    // --- jobs, from their worker
    // Takes up to `now_max` jobs to run at once, and `ahead_max` more that never lost a worker. Queues take turns in
    // going first.
    result<std::vector<claimed_job>> claim(std::int64_t owner, std::span<const std::string> queues,
                                           std::uint32_t now_max, std::uint32_t ahead_max);
    // `done` hears whether the job was still this owner's. Kept trying until it is on disk.
    void end_run(run_end end, std::function<void(bool held)> done);
    void note_progress(std::int64_t seq, std::int64_t owner, std::int64_t progress,
                       std::string message);
    // A reserved job that has begun.
    void note_started(std::int64_t seq, std::int64_t owner);
    // Back to the queue at once; these runs do not count.
    void give_back(std::int64_t owner, std::vector<held_job> jobs);

    // --- workers
    result<std::int64_t> add_worker(const worker_info& worker, std::chrono::milliseconds lease);
    // False when the worker was declared dead: it holds nothing any more.
    result<bool> heartbeat(std::int64_t owner, std::uint64_t processed);
    // Removes the worker; what it still holds returns. Gives the number of those jobs.
    result<std::int64_t> remove_worker(std::int64_t owner, const std::string& why);
    result<std::vector<worker_row>> worker_rows();
    std::filesystem::path lock_of(const std::string& worker_uuid) const;

    // --- reading
    result<std::optional<job_record>> get(std::string_view id);
    result<std::vector<job_record>> list(const job_filter& filter);
    result<std::vector<queue_info>> queues();
    result<bool> has_ready(std::span<const std::string> queues);
    result<std::optional<utc_time>> next_eta();
    result<std::vector<std::int64_t>> cancelled_of(std::int64_t owner);
    // How many jobs are not finished, as of the last second or so.
    struct depth {
        std::int64_t ready = 0, delayed = 0, held = 0;
        std::int64_t all() const noexcept { return ready + delayed + held; }
    };
    depth unfinished() const;
    // Operations on their way to the disk.
    std::size_t pending() const { return writer_->pending(); }
    result<void> ping();

    // --- changes
    // Called, on a thread of the store and without delay, after each change made by this process, and within
    // poll_interval of one made by another. Must not block nor call the store.
    using listener = std::function<void()>;
    std::uint64_t subscribe(listener heard);
    void unsubscribe(std::uint64_t subscription);
    std::uint64_t epoch() const;
    // Returns when the epoch is no longer `seen`, or at the deadline.
    void wait_for_change(std::uint64_t seen, steady_time deadline);

    // Removes jobs that were finished before `before`, a bounded number at a time; gives their number.
    result<std::int64_t> purge(utc_time before);

private:
    embedded_store(job_queue_options options, logger& log, db::sqlite::connection writer,
                   db::sqlite::connection reader, db::sqlite::connection watcher);
    void changed();
    void watch();
    void measure_depth();
    result<db::rows> read(std::string_view sql, const array& parameters = {});

    job_queue_options options_;
    logger& log_;

    mutable std::mutex changes_guard_;
    std::condition_variable changes_;
    std::uint64_t epoch_ = 0;
    std::vector<std::pair<std::uint64_t, listener>> listeners_;
    std::uint64_t subscriptions_ = 0;
    bool closing_ = false;
    depth depth_;

    std::mutex reader_guard_;
    db::sqlite::connection reader_;
    db::sqlite::connection watcher_;
    std::size_t turn_ = 0; // which queue goes first; of the writer thread
    std::unique_ptr<group_commit> writer_;
    std::thread watching_;
};

} // namespace carillon::jobs
