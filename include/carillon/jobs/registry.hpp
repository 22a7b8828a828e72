// Which handler does which job, and what a handler has to work with.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/error.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/value.hpp>
#include <carillon/jobs/job.hpp>

namespace carillon {

// Why a running handler should stop.
enum class stop_reason : std::uint8_t {
    none,
    cancelled, // somebody cancelled the job: it ends as cancelled
    // the worker goes: the job goes back to its queue, and this run does not count as a failure
    shutdown,
    time_limit, // its soft time limit passed: the attempt failed
    // its lease passed to another worker (this process stood still too long), or its hard time limit passed: whatever
    // it does is ignored
    lost,
};

// What a handler sees of its job. Handlers run on worker threads and may block. All functions are thread-safe, so a
// handler may share the context with threads that it joins before it returns. It is an interface, so that tests of
// handlers can bring their own.
class job_context {
public:
    virtual ~job_context() = default;

    virtual const std::string& id() const noexcept = 0;
    // 1 for the first run, counted up with every further one.
    virtual std::uint32_t attempt() const noexcept = 0;

    // How far the job is, 0 to 100 (values outside are cut), with a sentence for people. Cheap enough to call for every
    // block of a file: at most progress_rate updates a second go out, the last value always does. Never waits for a
    // disk.
    virtual void progress(int percent, std::string_view message = {}) = 0;

    virtual stop_reason stopping() const noexcept = 0;
    bool cancelled() const noexcept { return stopping() == stop_reason::cancelled; }
    // True when the handler should leave soon, for whatever reason: by throw_if_cancelled(). A handler that returns a
    // value instead has finished its work, except where it was cancelled.
    bool stop_requested() const noexcept { return stopping() != stop_reason::none; }
    // Throws carillon::error with errc::cancelled when stop_requested().
    void throw_if_cancelled() const;
    // Waits. False, at once, when the handler should leave.
    virtual bool wait_for(std::chrono::milliseconds duration) = 0;

    // Lines written here carry the id and the task of the job.
    virtual logger& log() noexcept = 0;
};

// Thrown by a handler that wants to be tried again after `delay` rather than after the back-off. Counts as a failed
// attempt.
class retry_later : public error {
public:
    retry_later(std::chrono::milliseconds delay, const std::string& why)
        : error(errc::unavailable, why), delay_(delay) {}
    std::chrono::milliseconds delay() const noexcept { return delay_; }

private:
    std::chrono::milliseconds delay_;
};

// The work itself. What it returns is the result (JSON kinds). What it throws ends the attempt: carillon::error with a
// code that another try cannot mend (is_permanent) fails the job at once, everything else is tried again.
using job_handler = std::function<value(job_context&, const job_arguments&)>;

// bad_request, unauthorized, forbidden, not_found, method_not_allowed, conflict, too_large, unsupported_media,
// invalid, corrupt.
bool is_permanent(errc code) noexcept;

// Told of every change of a job, before groups hear of it and before a final state is on disk: what an observer wrote
// is there when the job is settled. After a crash in between the job runs again, and the observer is told again.
// Called on the worker thread, on the worker pool's own thread for a progress that waited its turn, or on the thread
// that cancels a waiting job; never twice at once for one run. What it throws is logged and, for a final state, makes
// the job be tried again.
using job_observer = std::function<void(const job_update&)>;

struct job_options {
    std::string queue = "celery"; // where enqueue() puts it unless told otherwise
    // Runs that may fail, the first one included; 1: never tried again.
    std::uint32_t attempts_max = 4;
    // Runs that may end with the death of their worker.
    std::uint32_t losses_max = 8;
    // Celery's back-off: the n-th retry waits min(retry_delay_max, retry_delay * 2^(n-1)), with jitter a random part of
    // it.
    std::chrono::milliseconds retry_delay{1'000};
    std::chrono::milliseconds retry_delay_max{600'000};
    bool retry_jitter = true;
    // How often a job of this task may begin in one worker process, as Celery writes it: "10/s", "100/m", "1000/h", "5"
    // a second. Empty or "0": as often as there are threads. Jobs above it wait, and hold no thread. Each process
    // counts for itself; a worker pool does not start with what cannot be read.
    std::string rate_limit;
    // After this time the context says stop. Zero: no limit.
    std::chrono::milliseconds soft_time_limit{0};
    // After this time the job has failed for good, whatever its handler does. A thread cannot be ended from outside:
    // the handler goes on, what it still does about the job changes nothing, and another thread takes its place. Zero:
    // no limit.
    std::chrono::milliseconds hard_time_limit{0};
    // Brokers: who waits for the result is told when the job starts.
    bool track_started = false;
    // Brokers: acknowledged after it ran. False: before it runs, so that a job whose worker dies does not run again.
    bool acks_late = true;
    // Jobs of this task that run at once, where their enqueue_options say nothing else: over all workers of the queue
    // (docs/jobs.md, "Concurrency limits", says where that is not known). Zero: no limit.
    std::uint32_t concurrency_max = 0;
    // Progress updates a second, at most. One of 100 per cent waits that long for the end of the job, which mostly
    // follows at once and then takes its place.
    double progress_rate = 5;
    job_observer observer; // may be empty
};

// Name → handler and options. Filled by main() before the first worker starts and not changed afterwards; then any
// thread may read it. Names are Celery's: `reports.csv`.
class job_registry {
public:
    struct entry {
        std::string task;
        job_handler run;
        job_options options;
    };

    // A name that is taken, is empty or longer than task_name_chars_max is a programmer error.
    job_registry& add(std::string task, job_handler run, job_options options = {});
    const entry* find(std::string_view task) const noexcept;
    std::vector<std::string> names() const;

private:
    std::map<std::string, entry, std::less<>> entries_;
};

inline constexpr std::size_t task_name_chars_max = 255;

} // namespace carillon
