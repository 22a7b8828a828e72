// worker_pool::impl: worker threads, the keeper that feeds them and keeps their jobs theirs, and the flusher of late
// progress.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <carillon/jobs/worker_pool.hpp>

#include "jobs/control/rate_limits.hpp"
#include "jobs/queue_core.hpp"
#include "jobs/rate_limited_jobs.hpp"
#include "jobs/running_job.hpp"

namespace carillon {

// One mutex, guard_, protects what the threads share. It is never held while the store is asked or a handler, an
// observer or a layer is called.
class worker_pool::impl {
public:
    impl(std::shared_ptr<jobs::queue_core> core, worker_options options);
    ~impl();
    result<void> start();
    stop_report stop(steady_time grace, steady_time deadline);
    stop_report quit(steady_time deadline);

    const std::string name;
    std::uint64_t active() const;
    std::uint64_t processed() const;

    // --- for remote control (pool_view.cpp)
    const std::shared_ptr<jobs::queue_core>& core() const noexcept { return core_; }
    const worker_options& options() const noexcept { return options_; }
    struct shown_run {
        jobs::claimed_job job;
        std::optional<steady_time> begun; // nothing where it waits for a thread
    };
    // Those that run, then those that wait for a thread.
    std::vector<shown_run> shown(std::size_t running_max, std::size_t waiting_max) const;
    std::optional<shown_run> find(std::string_view id) const;
    std::size_t size() const;    // threads
    object runs_by_task() const; // name of a task: how many began
    utc_time started() const noexcept { return started_; }
    // More threads, or fewer where negative: those leave when their job has ended. errc::invalid, and nothing is done,
    // outside 1 to 1,024.
    result<void> resize(std::int64_t by);
    // How often jobs of a task begin here, from now on: what parse_rate() takes. errc::not_found for a task that is not
    // registered, errc::invalid for what is no rate.
    result<void> limit_rate(const std::string& task, const value& rate);
    // As it was set, or empty.
    std::string rate_of(std::string_view task) const { return rates_.text_of(task); }
    // The limits of the runs of a task that begin from now on, where their message brings none of its own.
    // errc::not_found; errc::invalid for a limit that is not positive.
    result<void> limit_time(const std::string& task, jobs::run_limits limits);
    std::vector<std::string> queues() const;
    // True when it was not served before, or was. errc::invalid for what is no name of a queue, and for too many.
    result<bool> serve_queue(const std::string& queue);
    bool leave_queue(const std::string& queue);

private:
    // A run and whoever may touch it.
    using run = std::shared_ptr<jobs::running_job>;

    void work(std::size_t slot, std::uint64_t generation);
    void begin_thread(std::size_t slot, run overdue);
    void run_one(std::size_t slot, jobs::claimed_job job);
    static std::optional<jobs::unrun_end> refusal(const jobs::claimed_job& job,
                                                  const job_registry::entry* entry);
    bool end_one(std::size_t slot, std::uint64_t generation, steady_time begun);
    std::function<void()> expect_settled();

    void keep();
    void feed();
    void admit(std::vector<jobs::claimed_job> claimed);
    void begin_due();
    std::size_t idle_threads() const;
    std::size_t room_to_begin() const;
    std::vector<jobs::held_job> take_unbegun();
    void hear_cancels();
    void beat();
    void declare_lost();
    bool tend();
    void look_after_runs();
    void replace_overdue(steady_time at);
    void join_freed();
    void hand_back_stuck();
    std::uint32_t ahead_wanted() const;
    void flush_progress();

    result<void> enlist();
    std::vector<run> runs() const;
    bool all_idle() const;
    std::uint64_t rest();
    std::vector<run> ask_to_leave();
    void stop_threads();
    void sign_off();

    static constexpr std::chrono::seconds default_stop{10};
    const std::shared_ptr<jobs::queue_core> core_;
    const worker_options options_;
    const std::string uuid_;
    std::uint64_t subscription_ = 0;
    utc_time started_ = utc_now();
    std::optional<utc_time> next_eta_; // of the keeper
    bool feed_failed_ = false;         // of the keeper
    bool beat_failed_ = false;         // of the keeper

    mutable std::mutex guard_;
    std::condition_variable work_there_;  // for workers
    std::condition_variable keeper_wake_; // for the keeper
    std::condition_variable flush_wake_;  // for the flusher
    std::condition_variable idle_;        // for stop()
    std::deque<jobs::claimed_job> taken_;
    jobs::rate_limits rates_;              // has a lock of its own
    jobs::rate_limited_jobs rate_limited_; // taken, too, but without a token yet
    std::vector<std::string> queues_;      // that are served
    std::map<std::string, jobs::run_limits, std::less<>>
        time_limits_; // that were set by remote control
    std::vector<run> slots_;
    std::vector<bool> busy_;
    // Counted up when the thread of a slot is replaced: the old one is no longer its.
    std::vector<std::uint64_t> generations_;
    // Threads whose handlers did not leave when their hard time limit passed.
    struct stuck_thread {
        std::thread thread;
        std::size_t slot;
        std::uint64_t generation;
        bool left = false;
    };
    std::vector<stuck_thread> stuck_;
    std::size_t living_ = 0; // worker threads, also stuck ones
    std::size_t wanted_ =
        0; // slots beyond have no thread, or one that leaves when its job has ended
    std::vector<bool> left_; // slots whose thread has left or is about to
    std::map<std::string, std::uint64_t, std::less<>> begun_by_task_;
    std::int64_t owner_ = 0;
    std::uint64_t processed_ = 0;
    std::size_t unsettled_ = 0;      // ends on their way to the disk
    double mean_run_s_ = 1;          // of late runs
    steady_time last_taken_ = now(); // by a worker
    bool store_changed_ = true, room_ = true, flush_changed_ = false;
    bool stopping_ = false; // no new jobs
    std::atomic<bool> quitting_{false};
    bool shutdown_asked_ = false;
    bool leaving_ = false;                   // workers leave
    bool ending_ = false;                    // keeper and flusher leave
    std::vector<std::int64_t> cancel_marks_; // jobs of ours that are to stop

    std::vector<std::thread> workers_;
    std::thread keeper_, flusher_;
    bool stopped_ = false;
    stop_report report_;
};

} // namespace carillon
