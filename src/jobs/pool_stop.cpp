// How a worker pool ends: warm, cold, and what its threads do then.
#include <algorithm>

#include "jobs/pool.hpp"

namespace carillon {

// With guard_ held: also those that wait for the rate limit of their task.
std::vector<jobs::held_job> worker_pool::impl::take_unbegun() {
    auto waiting = rate_limited_.take_all();
    std::ranges::move(std::exchange(taken_, {}), std::back_inserter(waiting));
    std::vector<jobs::held_job> all;
    for (const auto& job : waiting)
        all.push_back({job.seq, job.counted});
    return all;
}

// No new job; those that have not begun go back. Gives their number.
std::uint64_t worker_pool::impl::rest() {
    std::vector<jobs::held_job> unbegun;
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        stopping_ = true;
        owner = owner_;
        unbegun = take_unbegun();
    }
    const auto count = unbegun.size();
    core_->count().given_back.add(static_cast<std::int64_t>(count));
    core_->store->rest(owner);
    core_->store->give_back(owner, std::move(unbegun));
    return count;
}

// Those that run are told; gives them.
std::vector<worker_pool::impl::run> worker_pool::impl::ask_to_leave() {
    {
        std::lock_guard lock(guard_);
        shutdown_asked_ = true;
    }
    auto asked = runs();
    for (const auto& each : asked)
        each->request_stop(stop_reason::shutdown);
    return asked;
}

stop_report worker_pool::impl::stop(steady_time grace, steady_time deadline) {
    stopped_ = true;
    const auto before = processed();
    report_.returned = rest();
    {
        std::unique_lock lock(guard_);
        idle_.wait_until(lock, grace, [&] { return all_idle(); });
    }
    const auto asked = ask_to_leave();
    std::unique_lock lock(guard_);
    idle_.wait_until(lock, deadline, [&] { return all_idle(); });
    report_.abandoned = static_cast<std::uint64_t>(
        std::ranges::count(busy_, true) + std::ranges::count(stuck_, false, &stuck_thread::left));
    const auto ended = processed_ - before;
    lock.unlock();
    const auto handed_back = static_cast<std::uint64_t>(
        std::ranges::count_if(asked, [](const run& each) { return each->given_back(); }));
    report_.returned += handed_back;
    report_.finished = ended - std::min(ended, handed_back);
    if (report_.clean())
        stop_threads();
    return report_;
}

void worker_pool::impl::stop_threads() {
    if (!keeper_.joinable())
        return;
    {
        std::lock_guard lock(guard_);
        stopping_ = true;
        leaving_ = true;
    }
    work_there_.notify_all();
    {
        // The keeper works until the last handler has left: it beats, and it replaces threads.
        std::unique_lock lock(guard_);
        idle_.wait(lock, [&] { return living_ == 0; });
        ending_ = true;
    }
    keeper_wake_.notify_all();
    flush_wake_.notify_all();
    keeper_.join();
    flusher_.join();
    for (auto& each : workers_)
        if (each.joinable())
            each.join();
    for (auto& each : stuck_)
        each.thread.join();
    core_->threads -= static_cast<std::int64_t>(wanted_);
    sign_off();
}

void worker_pool::impl::sign_off() {
    std::unique_lock lock(guard_);
    const auto all_settled = [&] { return unsettled_ == 0; };
    idle_.wait_for(lock, default_stop, all_settled);
    const auto owner = owner_;
    lock.unlock();
    if (auto removed = core_->store->remove_worker(owner, "its worker stopped"); !removed)
        core_->log().warning("a worker could not sign off", {{"error", removed.error().message}});
    // Whatever was not safe by then has been given up, or comes with the answer of the disk.
    lock.lock();
    idle_.wait(lock, all_settled);
}

stop_report worker_pool::impl::quit(steady_time deadline) {
    quitting_ = true;
    stop_report report;
    report.returned = rest();
    const auto asked = ask_to_leave();
    {
        std::unique_lock lock(guard_);
        idle_.wait_until(lock, deadline, [&] { return all_idle(); });
    }
    std::uint64_t lost = 0;
    for (const auto& each : runs()) {
        const bool stays = each->leave_behind();
        report.abandoned += stays;
        lost += stays && !each->given_back();
    }
    const auto in_queue = static_cast<std::uint64_t>(
        std::ranges::count_if(asked, [](const run& each) { return each->given_back(); }));
    report.returned += in_queue;
    report.finished = asked.size() - std::min<std::uint64_t>(asked.size(), in_queue + lost);
    std::int64_t owner = 0;
    {
        std::unique_lock lock(guard_);
        idle_.wait_until(lock, deadline, [&] { return unsettled_ == 0; });
        owner = owner_;
    }
    if (auto removed = core_->store->remove_worker(owner, "its worker was told to quit"); !removed)
        core_->log().warning("a worker could not sign off", {{"error", removed.error().message}});
    core_->store->leave();
    return report;
}

} // namespace carillon
