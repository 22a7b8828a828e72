// worker_pool: the threads that run jobs, inside `serve` and in a worker process alike.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/queue.hpp>

namespace carillon {

struct worker_options {
    // Celery's -n: %h host name, %n its first part, %d its domain, %% a percent sign.
    std::string name = "celery@%h";
    std::vector<std::string> queues{"celery"}; // Celery's -Q
    std::uint32_t threads = 2;                 // Celery's -c, 1 to 1,024
    // How long a job stays this worker's without a sign of life. A worker whose process has died is noticed at once;
    // the lease is for one that stands still. Heartbeats go out every third of it. At least 300 ms.
    std::chrono::milliseconds lease{10'000};
    std::uint32_t ahead_max = 1'000; // short jobs taken before a thread is free; 0: none
};

// How a pool ended.
struct stop_report {
    std::uint64_t finished = 0;  // jobs that ended in the time they were given
    std::uint64_t returned = 0;  // jobs handed back to their queue; they run again elsewhere
    std::uint64_t abandoned = 0; // handlers that did not leave in time
    bool clean() const noexcept { return abandoned == 0; }
};

class worker_pool {
public:
    // Starts at once. The queue outlives the pool. errc::invalid for an option out of its range, errc::unavailable.
    static result<std::unique_ptr<worker_pool>> start(job_queue& queue, worker_options options);
    // Stops when stop() was not called, and waits for every handler. After a stop that was not clean the jobs of those
    // that never leave return only when the process ends: a program that means to end then calls std::quick_exit.
    ~worker_pool();

    // Takes no new job, lets the running ones finish until `grace` has passed, then asks them to stop and hands them
    // back, and waits for them until `deadline`. Called once, by one thread.
    stop_report stop(steady_time grace, steady_time deadline);
    stop_report stop(steady_time deadline) { return stop(now(), deadline); }
    // The cold way, for a program that then ends by std::_Exit or _exit: takes no new job, asks those that run to stop
    // at once, waits for them until `deadline`, and hands back what is left, whatever its handlers do; `abandoned`
    // counts those. With a broker a job that was acknowledged before it ran (acks_late false) is lost where its handler
    // stays. Returns once the disk or the broker has it, a few seconds after the deadline at most; the queue is of no
    // use then. Any thread, once, also while stop() goes on in another one.
    stop_report quit(steady_time deadline);

    const std::string& name() const noexcept;
    // Jobs that run at this moment, and those that ended since the start.
    std::uint64_t active() const noexcept;
    std::uint64_t processed() const noexcept;

    // Of the library itself: what remote control looks at.
    class impl;
    impl& inside() noexcept { return *impl_; }

private:
    explicit worker_pool(std::unique_ptr<impl> owned);
    std::unique_ptr<impl> impl_;
};

} // namespace carillon
