#include "jobs/rate_limited_jobs.hpp"

#include <algorithm>
#include <utility>

namespace carillon::jobs {

bool rate_limited_jobs::needs_no_token(const claimed_job& job) {
    return job.cancel || (job.expires && *job.expires < utc_now());
}

rate_limited_jobs::admission rate_limited_jobs::admit(claimed_job& job, steady_time at) {
    if (needs_no_token(job))
        return {};
    auto found = lines_.find(job.task);
    const bool first = found == lines_.end() || found->second.waiting.empty();
    if (first && limits_.take(job.task, at) == std::chrono::nanoseconds{0})
        return {};
    auto& own = found == lines_.end() ? lines_[job.task] : found->second;
    const auto slot = limits_.slot(job.task, own.waiting.size(), at);
    if (size_ < bounds_.count && slot <= at + bounds_.wait) {
        own.waiting.push_back(std::move(job));
        ++size_;
        return {place::here, {}};
    }
    // Each gets the slot after that of the one before it.
    const auto pace = limits_.slot(job.task, 1, at) - limits_.slot(job.task, 0, at);
    own.last_given = std::min(std::max(slot, own.last_given + pace), at + bounds_.put_off);
    return {place::store, own.last_given};
}

std::vector<claimed_job> rate_limited_jobs::due(std::size_t count, steady_time at) {
    std::vector<claimed_job> out;
    if (size_ == 0)
        return out;
    for (auto& [task, own] : lines_)
        while (out.size() < count && !own.waiting.empty() &&
               (needs_no_token(own.waiting.front()) ||
                limits_.take(task, at) == std::chrono::nanoseconds{0})) {
            out.push_back(std::move(own.waiting.front()));
            own.waiting.pop_front();
        }
    size_ -= out.size();
    return out;
}

std::optional<steady_time> rate_limited_jobs::next(steady_time at) const {
    std::optional<steady_time> first;
    for (const auto& [task, own] : lines_) {
        if (own.waiting.empty())
            continue;
        const auto slot = own.waiting.front().cancel ? at : limits_.slot(task, 0, at);
        if (!first || slot < *first)
            first = slot;
    }
    return first;
}

void rate_limited_jobs::forget_slots(const std::string& task) {
    if (auto found = lines_.find(task); found != lines_.end())
        found->second.last_given = {};
}

void rate_limited_jobs::cancel(const std::function<bool(std::int64_t)>& wanted) {
    for (auto& [task, own] : lines_) {
        for (auto& each : own.waiting)
            each.cancel |= wanted(each.seq);
        // They need no token, so nobody waits behind them.
        std::stable_partition(own.waiting.begin(), own.waiting.end(),
                              [](const claimed_job& each) { return each.cancel; });
    }
}

std::vector<claimed_job> rate_limited_jobs::take_all() {
    std::vector<claimed_job> all;
    for (auto& [task, own] : lines_)
        std::ranges::move(std::exchange(own.waiting, {}), std::back_inserter(all));
    size_ = 0;
    return all;
}

const claimed_job* rate_limited_jobs::find(std::string_view id) const {
    for (const auto& [task, own] : lines_)
        if (auto there = std::ranges::find(own.waiting, id, &claimed_job::id);
            there != own.waiting.end())
            return &*there;
    return nullptr;
}

std::vector<claimed_job> rate_limited_jobs::show(std::size_t count) const {
    std::vector<claimed_job> all;
    for (const auto& [task, own] : lines_)
        for (const auto& each : own.waiting)
            if (all.size() < count)
                all.push_back(each);
    return all;
}

} // namespace carillon::jobs
