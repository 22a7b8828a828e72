#include "net/loop.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <carillon/base/assert.hpp>

namespace carillon::net {

unique_fd& unique_fd::operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

unique_fd::~unique_fd() {
    if (fd_ >= 0)
        ::close(fd_);
}

int unique_fd::release() noexcept { return std::exchange(fd_, -1); }

loop::loop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wakeup_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!epoll_ || !wakeup_)
        throw std::system_error(errno, std::generic_category(), "event loop");
    // Edge-triggered, so that a wake-up need not be read back: one system call less on each.
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = nullptr;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.get(), &event);
}

loop::~loop() = default;

void loop::watch(int fd, std::uint32_t events, pollable& target) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &target;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void loop::rewatch(int fd, std::uint32_t events, pollable& target) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &target;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void loop::unwatch(int fd) noexcept { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

loop::timer_id loop::at(steady_time when, std::function<void()> work) {
    return timers_.emplace(when, std::move(work));
}

void loop::cancel(timer_id id) noexcept { timers_.erase(id); }

void loop::defer(std::unique_ptr<posted> work) { deferred_.push_back(std::move(work)); }

void loop::post(std::unique_ptr<posted> work) {
    {
        std::lock_guard lock(inbox_guard_);
        inbox_.push_back(std::move(work));
    }
    wake();
}

void loop::post_all(std::vector<std::unique_ptr<posted>>& work) {
    {
        std::lock_guard lock(inbox_guard_);
        for (auto& one : work)
            inbox_.push_back(std::move(one));
    }
    work.clear();
    wake();
}

void loop::stop() noexcept {
    stopping_.store(true);
    wake();
}

void loop::wake() noexcept {
    if (woken_.exchange(true))
        return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wakeup_.get(), &one, sizeof one);
}

void loop::take_inbox() {
    if (!woken_.load(std::memory_order_relaxed) || !woken_.exchange(false))
        return;
    {
        std::lock_guard lock(inbox_guard_);
        taken_.swap(inbox_);
    }
    for (auto& work : taken_)
        // what it owns goes with it: an event gives its place in a channel back
        std::exchange(work, nullptr)->run();
    taken_.clear();
}

void loop::run_deferred() {
    // What is deferred meanwhile joins this turn: a publish from a handler still leaves in it. Not for ever, since two
    // consumers that answer each other would keep everybody else waiting.
    for (int round = 0; round < rounds_max && !deferred_.empty(); ++round) {
        running_.swap(deferred_);
        for (auto& work : running_)
            std::exchange(work, nullptr)->run();
        running_.clear();
    }
}

void loop::fire_timers() {
    while (!timers_.empty() && timers_.begin()->first <= turn_time_) {
        auto due = timers_.extract(timers_.begin());
        due.mapped()();
    }
}

int loop::wait_milliseconds() const noexcept {
    if (!deferred_.empty())
        return 0;
    if (timers_.empty())
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

std::span<epoll_event> loop::wait(std::span<epoll_event> into, int milliseconds) {
    const int ready =
        ::epoll_wait(epoll_.get(), into.data(), static_cast<int>(into.size()), milliseconds);
    CARILLON_ASSERT(ready >= 0 || errno == EINTR, "epoll_wait on an open descriptor");
    return into.first(static_cast<std::size_t>(std::max(ready, 0)));
}

void loop::serve(std::span<const epoll_event> ready) {
    turn_time_ = now();
    for (const auto& event : ready)
        if (auto* target = static_cast<pollable*>(event.data.ptr))
            target->on_ready(event.events);
    take_inbox();
    fire_timers();
    run_deferred();
}

// A loop that was busy gives the processor away once before it sleeps: what it waits for often arrives meanwhile, and a
// sleep with its wake-up is saved. Echo on 2 shards and 2 cores: 5.8 to 4.8 us a message, 132,000 to 204,000 a second.
std::span<epoll_event> loop::wait_for_work(std::span<epoll_event> into) {
    std::span<epoll_event> ready;
    if (busy_)
        ready = wait(into, 0);
    if (busy_ && ready.empty() && !woken_.load(std::memory_order_relaxed)) {
        ::sched_yield();
        ready = wait(into, 0);
    }
    if (ready.empty())
        ready = wait(into, wait_milliseconds());
    busy_ = !ready.empty();
    return ready;
}

void loop::run() {
    std::array<epoll_event, 256> events;
    while (!stopping_.load(std::memory_order_relaxed)) {
        const auto ready = wait_for_work(events);
        serve(ready);
        for (int looks = 0; looks < looks_max && look_again_ && look_again_(); ++looks) {
            const auto more = wait(events, 0);
            if (more.empty() && !woken_.load(std::memory_order_relaxed))
                break;
            serve(more);
        }
        if (turn_end_)
            turn_end_();
    }
}

} // namespace carillon::net
