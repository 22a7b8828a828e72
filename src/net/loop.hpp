// loop: one thread's event loop over epoll. Readiness of descriptors, work from other threads, timers.
//
// A turn is: wait, serve what is ready, take the inbox, fire timers, then the end of the turn, where everything that
// was put off (flushing, burying) happens once. docs/decisions/0001-own-event-loop.md says why this is not Asio.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <sys/epoll.h>

#include <carillon/base/clock.hpp>

namespace carillon::net {

// A descriptor as a signed integer that closes itself.
class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
    unique_fd& operator=(unique_fd&& other) noexcept;
    ~unique_fd();
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept;

private:
    int fd_ = -1;
};

// What a loop watches. Lives until it was unwatched and the turn ended.
class pollable {
public:
    virtual void on_ready(std::uint32_t events) noexcept = 0; // EPOLLIN and its kin

protected:
    virtual ~pollable() = default;
};

// Work handed to a loop by another thread.
class posted {
public:
    virtual ~posted() = default;
    virtual void run() noexcept = 0;
};

// A callable as work for a loop.
template <class F>
std::unique_ptr<posted> as_posted(F work) {
    struct holder final : posted {
        F work;
        explicit holder(F w) : work(std::move(w)) {}
        void run() noexcept override { work(); }
    };
    return std::make_unique<holder>(std::move(work));
}

class loop {
public:
    using timer_id = std::multimap<steady_time, std::function<void()>>::iterator;

    loop();
    loop(const loop&) = delete;
    ~loop();

    // --- on the loop's own thread, or before run() ---

    void watch(int fd, std::uint32_t events, pollable& target);
    void rewatch(int fd, std::uint32_t events, pollable& target) noexcept;
    void unwatch(int fd) noexcept;

    // Calls `work` once, not before `when`. The id is spent when it fired.
    timer_id at(steady_time when, std::function<void()> work);
    void cancel(timer_id id) noexcept;

    // Called at the end of each turn; the one handler is set before run(). It may post more local work.
    void on_turn_end(std::function<void()> work) { turn_end_ = std::move(work); }
    // Asked before the turn's end: true to look first, without waiting, for what arrived meanwhile and to serve it in
    // the same turn. At most looks_max times a turn.
    void on_look_again(std::function<bool()> wanted) { look_again_ = std::move(wanted); }
    // Work for this turn's end or, when called at the end, for the next turn at once. So is what work defers again and
    // again.
    void defer(std::unique_ptr<posted> work);
    template <class F>
    void defer(F work) {
        defer(as_posted(std::move(work)));
    }

    // Serves until stop(). One thread.
    void run();

    // The time when this turn woke up.
    steady_time turn_time() const noexcept { return turn_time_; }

    // --- from any thread ---

    // In the order of posting for each posting thread. Work that is posted after the loop has ended is dropped.
    void post(std::unique_ptr<posted> work);
    template <class F>
    void post(F work) {
        post(as_posted(std::move(work)));
    }
    // The same for many, with one wake-up. Empties `work`.
    void post_all(std::vector<std::unique_ptr<posted>>& work);
    void stop() noexcept;

private:
    static constexpr int looks_max = 16;
    static constexpr int rounds_max = 16;
    std::span<epoll_event> wait_for_work(std::span<epoll_event> into);
    std::span<epoll_event> wait(std::span<epoll_event> into, int milliseconds);
    void serve(std::span<const epoll_event> ready);
    void wake() noexcept;
    void take_inbox();
    void run_deferred();
    void fire_timers();
    int wait_milliseconds() const noexcept;

    unique_fd epoll_, wakeup_;
    std::function<void()> turn_end_;
    std::function<bool()> look_again_;
    std::multimap<steady_time, std::function<void()>> timers_;
    std::vector<std::unique_ptr<posted>> deferred_, running_, taken_;
    steady_time turn_time_ = now();

    std::mutex inbox_guard_;
    std::vector<std::unique_ptr<posted>> inbox_;
    bool busy_ = false; // the last wait had something to serve
    std::atomic<bool> woken_{false};
    std::atomic<bool> stopping_{false};
};

} // namespace carillon::net
