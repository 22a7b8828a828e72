// embedded_store: the job queue as a SQLite file that several processes share.
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

#include "channels/file_lock.hpp"
#include "jobs/census.hpp"
#include "jobs/embedded_workflow.hpp"
#include "jobs/group_commit.hpp"
#include "jobs/job_store.hpp"
#include "jobs/store_schema.hpp"

namespace carillon::jobs {

inline constexpr std::int64_t purge_rows_max = 1'000; // removed in one transaction

class embedded_store final : public job_store {
public:
    // The registry says which queue a call without one goes to; it outlives the store.
    static result<std::shared_ptr<embedded_store>> open(const job_queue_options& options,
                                                        const job_registry& registry, logger& log);
    // Workers that were added and not removed count as dead from here on.
    ~embedded_store() override;

    void add(new_job job, std::function<void(const result<std::string>& id)> done) override;
    void send(const wire::celery::signature& workflow,
              std::function<void(const result<wire::celery::result_tuple>& sent)> done) override;
    result<std::optional<job_record>> request_cancel(std::string_view id) override;
    result<bool> settle_cancelled(std::string_view id, const std::string& message) override;
    result<std::optional<bool>> requeue(std::string_view id) override;

    result<std::vector<claimed_job>> claim(std::int64_t owner, std::span<const std::string> queues,
                                           std::uint32_t now_max, std::uint32_t ahead_max) override;
    // What was lost shows when the end is written: always true.
    bool begin_run(std::int64_t, std::int64_t) override { return true; }
    void note_started(std::int64_t seq, std::int64_t owner) override;
    void note_progress(std::int64_t seq, std::int64_t owner, std::int64_t progress,
                       std::string message) override;
    void end_run(run_end end, std::function<void(bool held)> done) override;
    void give_back(std::int64_t owner, std::vector<held_job> jobs) override;
    void postpone(std::int64_t owner, std::vector<put_off> jobs) override;

    result<std::int64_t> add_worker(const worker_info& worker,
                                    std::chrono::milliseconds lease) override;
    void serve(std::int64_t owner, std::vector<std::string> queues) override;
    void leave() override;
    result<bool> heartbeat(std::int64_t owner, std::uint64_t processed) override;
    result<std::int64_t> tend(std::int64_t owner) override;
    result<void> remove_worker(std::int64_t owner, const std::string& why) override;
    result<std::vector<worker_info>> workers() override;
    // What remove_worker() does, with the number of the jobs that returned.
    result<std::int64_t> bury(std::int64_t owner, const std::string& why);
    result<std::vector<worker_row>> worker_rows();

    result<std::optional<job_record>> get(std::string_view id) override;
    result<job_record> wait(std::string_view id, steady_time deadline) override;
    result<std::vector<job_record>> list(const job_filter& filter) override;
    result<std::vector<queue_info>> queues() override;
    result<std::optional<utc_time>> next_eta() override;
    result<std::vector<std::int64_t>> cancelled_of(std::int64_t owner) override;
    depth unfinished() const override;
    std::size_t pending() const override { return writer_->pending(); }
    result<void> ping() override;

    // Changes made by another process are heard of within poll_interval.
    std::uint64_t subscribe(listener heard) override;
    void unsubscribe(std::uint64_t subscription) override;
    std::uint64_t epoch() const;
    // Returns when the epoch is no longer `seen`, or at the deadline.
    void wait_for_change(std::uint64_t seen, steady_time deadline);

    // Removes jobs that were finished before `before`, a bounded number at a time; gives their number.
    result<std::int64_t> purge(utc_time before);

private:
    embedded_store(job_queue_options options, const job_registry& registry, logger& log,
                   db::sqlite::connection writer, db::sqlite::connection reader,
                   db::sqlite::connection watcher);
    static embedded_workflow::setting setting_of(const job_registry& registry, logger& log,
                                                 std::size_t message_bytes_max);
    void count_new(bool delayed);
    result<void> follow(db::sqlite::connection& on, const run_end& end,
                        const consequences& following);
    result<std::uint32_t> room_of(db::sqlite::connection& on, const std::string& queue) const;
    result<bool> has_ready(std::span<const std::string> queues);
    result<bool> worth_a_claim(std::span<const std::string> queues);
    result<void> hold_lock(const std::string& worker_uuid);
    void own_lock(const std::string& worker_uuid, std::int64_t owner);
    void drop_lock(std::int64_t owner);
    std::filesystem::path lock_of(const std::string& worker_uuid) const;
    void changed();
    void watch();
    void measure_depth();
    result<db::rows> read(std::string_view sql, const array& parameters = {});

    job_queue_options options_;
    logger& log_;
    embedded_workflow::setting workflow_;

    mutable std::mutex changes_guard_;
    std::condition_variable changes_;
    std::uint64_t epoch_ = 0;
    std::vector<std::pair<std::uint64_t, listener>> listeners_;
    std::uint64_t subscriptions_ = 0;
    bool closing_ = false;
    depth depth_;

    // Of the workers of this process: what tells others that they live.
    struct held_lock {
        std::string worker_uuid;
        std::int64_t owner;
        file_lock lock;
    };
    std::mutex workers_guard_;
    std::vector<held_lock> locks_;
    census census_;

    std::mutex reader_guard_;
    db::sqlite::connection reader_;
    db::sqlite::connection watcher_;
    std::size_t turn_ = 0; // which queue goes first; of the writer thread
    std::unique_ptr<group_commit> writer_;
    std::thread watching_;
};

} // namespace carillon::jobs
