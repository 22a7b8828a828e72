// What remote control sees of a worker pool, and how a pool grows and shrinks.
#include <algorithm>

#include <fmt/format.h>

#include "jobs/pool.hpp"

namespace carillon {

namespace {

constexpr std::int64_t threads_max = 1'024;
constexpr std::size_t queues_max = 1'000;
constexpr std::size_t queue_name_chars_max = 255;

} // namespace

std::vector<worker_pool::impl::shown_run> worker_pool::impl::shown(std::size_t running_max,
                                                                   std::size_t waiting_max) const {
    std::lock_guard lock(guard_);
    std::vector<shown_run> all;
    for (const auto& each : slots_)
        if (each && all.size() < running_max)
            all.push_back({each->job(), each->begun()});
    const auto at_once = std::min(taken_.size(), waiting_max);
    for (std::size_t i = 0; i < at_once; ++i)
        all.push_back({taken_[i], std::nullopt});
    for (auto& each : rate_limited_.show(waiting_max - at_once))
        all.push_back({std::move(each), std::nullopt});
    return all;
}

std::optional<worker_pool::impl::shown_run> worker_pool::impl::find(std::string_view id) const {
    std::lock_guard lock(guard_);
    for (const auto& each : slots_)
        if (each && each->job().id == id)
            return shown_run{each->job(), each->begun()};
    for (const auto& each : taken_)
        if (each.id == id)
            return shown_run{each, std::nullopt};
    if (const auto* waits = rate_limited_.find(id))
        return shown_run{*waits, std::nullopt};
    return std::nullopt;
}

std::size_t worker_pool::impl::size() const {
    std::lock_guard lock(guard_);
    return wanted_;
}

object worker_pool::impl::runs_by_task() const {
    std::lock_guard lock(guard_);
    object counts;
    for (const auto& [task, count] : begun_by_task_)
        counts.append(task, count);
    return counts;
}

result<void> worker_pool::impl::resize(std::int64_t by) {
    std::vector<std::thread> gone; // to be joined without the lock, which their last steps need
    {
        std::lock_guard lock(guard_);
        const auto present = static_cast<std::int64_t>(wanted_);
        if (by < 1 - present || by > threads_max - present)
            return failure{
                errc::invalid,
                fmt::format("a worker has 1 to {} threads; this one has {}", threads_max, present)};
        if (stopping_)
            return failure{errc::unavailable, "the worker stops"};
        const auto before = wanted_;
        wanted_ = static_cast<std::size_t>(present + by);
        core_->threads += by;
        if (slots_.size() < wanted_) {
            slots_.resize(wanted_);
            busy_.resize(wanted_);
            generations_.resize(wanted_);
            left_.resize(wanted_, true);
            workers_.resize(wanted_);
        }
        for (auto slot = before; slot < wanted_; ++slot) {
            if (!left_[slot])
                continue; // still busy, and stays now
            gone.push_back(std::move(workers_[slot]));
            left_[slot] = false;
            begin_thread(slot, nullptr);
        }
        room_ = true;
    }
    work_there_.notify_all();
    keeper_wake_.notify_one();
    for (auto& each : gone)
        if (each.joinable())
            each.join();
    return {};
}

result<void> worker_pool::impl::limit_rate(const std::string& task, const value& rate) {
    if (!core_->registry().find(task))
        return failure{errc::not_found, fmt::format("no task is registered as `{}`", task)};
    if (auto set = rates_.set(task, rate); !set)
        return set;
    std::lock_guard lock(guard_);
    rate_limited_.forget_slots(task);
    room_ = true;
    keeper_wake_.notify_one();
    return {};
}

result<void> worker_pool::impl::limit_time(const std::string& task, jobs::run_limits limits) {
    if (!core_->registry().find(task))
        return failure{errc::not_found, fmt::format("no task is registered as `{}`", task)};
    for (auto* each : {&limits.soft_s, &limits.hard_s}) {
        if (*each == 0.0)
            each->reset(); // as Celery takes it
        if (*each && !(**each > 0))
            return failure{errc::invalid, "a time limit is a positive number of seconds"};
    }
    std::lock_guard lock(guard_);
    time_limits_.insert_or_assign(task, limits);
    return {};
}

std::vector<std::string> worker_pool::impl::queues() const {
    std::lock_guard lock(guard_);
    return queues_;
}

result<bool> worker_pool::impl::serve_queue(const std::string& queue) {
    if (queue.empty() || queue.size() > queue_name_chars_max)
        return failure{errc::invalid, fmt::format("the name of a queue has 1 to {} characters",
                                                  queue_name_chars_max)};
    std::vector<std::string> queues;
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        if (std::ranges::find(queues_, queue) != queues_.end())
            return false;
        if (queues_.size() >= queues_max)
            return failure{errc::invalid,
                           fmt::format("a worker serves at most {} queues", queues_max)};
        queues_.push_back(queue);
        queues = queues_;
        owner = owner_;
        room_ = true;
        keeper_wake_.notify_one();
    }
    core_->store->serve(owner, std::move(queues));
    return true;
}

bool worker_pool::impl::leave_queue(const std::string& queue) {
    std::vector<std::string> queues;
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        if (std::erase(queues_, queue) == 0)
            return false;
        queues = queues_;
        owner = owner_;
    }
    core_->store->serve(owner, std::move(queues));
    return true;
}

} // namespace carillon
