// running_job: one run of one job, as its handler, its worker and the pool's own threads see it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <carillon/base/clock.hpp>
#include <carillon/jobs/registry.hpp>

#include "jobs/queue_core.hpp"
#include "wire/celery/message.hpp"

namespace carillon::jobs {

// A logger that adds the job's id and task to each line.
class job_log final : public logger {
public:
    job_log(logger& below, const claimed_job& job) : below_(below), id_(job.id), task_(job.task) {}
    bool enabled(log_level level) const noexcept override { return below_.enabled(level); }
    // Of more than six fields the further ones are left out.
    void write(log_level level, std::string_view message,
               std::initializer_list<log_field> fields) override;

private:
    logger& below_;
    std::string id_, task_;
};

// The end of a job that is not to be run: cancelled, expired or refused.
struct unrun_end {
    end_state state;
    std::string message;
    wire::celery::exception_record exception;
    bool rejected = false;
};

// In seconds; nothing: no limit.
struct run_limits {
    std::optional<double> soft_s, hard_s;
};

class running_job final : public job_context {
public:
    // `set` are the limits that were set for its task since it was registered, if so. `flush_wanted` is called when a
    // progress waits for its turn: flush() should be called at flush_due().
    running_job(queue_core& core, claimed_job job, const job_registry::entry& entry,
                std::int64_t owner, const std::optional<run_limits>& set,
                std::function<void()> flush_wanted);

    // --- the worker thread
    void tell_started();
    // Runs the handler and writes how it ended. `settled` hears of it once it is on disk, on the store's thread.
    void run(std::function<void()> settled);
    void settle_unrun(unrun_end end, std::function<void()> settled);

    // --- any thread
    const claimed_job& job() const noexcept { return job_; }
    std::int64_t owner() const noexcept { return owner_; }
    steady_time begun() const noexcept { return begun_; }
    // A weaker reason does not replace a stronger one: shutdown, time limit, cancelled, lost.
    void request_stop(stop_reason why);
    // Counts a run that was reserved, when it takes long enough to be worth a write.
    void count_now();
    // Stops it when its soft limit has passed.
    void check_time_limit(steady_time at);
    bool hard_limit_passed(steady_time at) const noexcept;
    // Whoever is first to call it ends this run: run() when the handler leaves, or the pool when the hard limit passed.
    bool take_end() noexcept { return !end_taken_.exchange(true); }
    // The end of a run that the pool took from its handler.
    void end_overdue(std::function<void()> settled);
    // Ends the run for a program that ends: what its handler does from now on changes nothing. The job goes back to its
    // queue, except where it was acknowledged before it ran: then it is lost. False when it has ended already.
    bool leave_behind();
    // True when it ended by going back to its queue.
    bool given_back() const noexcept { return given_back_.load(); }
    std::optional<steady_time> flush_due() const;
    void flush(steady_time at);

    // --- job_context
    const std::string& id() const noexcept override { return job_.id; }
    std::uint32_t attempt() const noexcept override { return attempt_; }
    void progress(int percent, std::string_view message) override;
    stop_reason stopping() const noexcept override { return stop_.load(); }
    bool wait_for(std::chrono::milliseconds duration) override;
    logger& log() noexcept override { return log_; }

private:
    job_update update(std::string_view status) const;
    void emit(steady_time at);
    void succeed(value returned, std::function<void()> settled);
    void end_stopped(const std::string& why, std::function<void()> settled);
    void end_failed(std::exception_ptr thrown, std::function<void()> settled);
    // Why an attempt failed: for people and for Python.
    struct failed_try {
        errc code;
        std::string why;
        wire::celery::exception_record exception;
        std::optional<std::chrono::milliseconds>
            delay{}; // before the next try, where the handler chose it
    };
    static failed_try read_failure(std::exception_ptr thrown);
    void fail(failed_try failed, std::function<void()> settled);
    void try_again(failed_try failed, std::chrono::milliseconds delay,
                   std::function<void()> settled);
    bool may_try_again() const noexcept;
    std::string traceback_of(const wire::celery::exception_record& thrown) const;
    void finish(run_end end, job_update news, std::function<void()> settled);
    void write(run_end end, job_update news, std::function<void()> settled);
    held_job held();

    queue_core& core_;
    const claimed_job job_;
    const job_registry::entry& entry_;
    const shared_message message_; // null where it cannot be read
    const std::int64_t owner_;
    const run_limits limits_;
    const std::uint32_t attempt_;
    const steady_time begun_ = now();
    const std::function<void()> flush_wanted_;
    job_log log_;

    std::atomic<stop_reason> stop_{stop_reason::none};
    std::atomic<bool> given_back_{false}, end_taken_{false};
    std::mutex stop_guard_;
    std::condition_variable stop_told_;

    mutable std::mutex
        telling_; // held while observers hear of this run, so that they hear of one thing at a time
    std::int32_t percent_ = 0;
    std::string sentence_;
    bool unsent_ = false;
    bool ended_ = false;
    bool counted_ = false;
    steady_time sent_{};
};

} // namespace carillon::jobs
