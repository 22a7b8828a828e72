// The keeper thread of a worker pool: it takes jobs from the store, keeps them this worker's, hears of cancels and
// looks after the store.
#include <algorithm>

#include "jobs/pool.hpp"

namespace carillon {

namespace {

constexpr std::chrono::milliseconds census_interval{200};
constexpr std::chrono::milliseconds beat_retry{1'000}; // of a heartbeat that was not written
constexpr std::chrono::milliseconds tick{100};         // while jobs run
constexpr std::chrono::milliseconds count_after{100}; // a reserved run that lasts longer is counted
// Beyond it hard time limits wait until a handler leaves.
constexpr std::size_t stuck_per_slot_max = 4;
constexpr std::chrono::milliseconds stuck_after{500}; // taken jobs that no thread got to go back

utc_time utc_of(steady_time when) {
    return utc_now() + std::chrono::duration_cast<utc_time::duration>(when - now());
}

steady_time steady_of(utc_time when) {
    return now() + std::max(std::chrono::microseconds{0}, when - utc_now());
}

} // namespace

void worker_pool::impl::keep() {
    auto next_beat = now() + options_.lease / 3;
    auto next_census = now();
    std::unique_lock lock(guard_);
    while (!ending_) {
        const bool changed = std::exchange(store_changed_, false);
        bool room = std::exchange(room_, false);
        const bool feeding = !stopping_;
        lock.unlock();
        if (now() >= next_beat) {
            beat();
            const auto interval = options_.lease / 3;
            next_beat = now() + (beat_failed_ ? std::min(interval, beat_retry) : interval);
        }
        if (now() >= next_census) {
            const bool tended = tend();
            core_->keeping.end_round(tended && !beat_failed_ && !feed_failed_);
            next_census = now() + census_interval;
            room |= std::exchange(feed_failed_, false);
        }
        look_after_runs();
        if (changed)
            hear_cancels();
        if (feeding)
            begin_due();
        const bool due = next_eta_ && *next_eta_ <= utc_now();
        if (feeding && (changed || room || due))
            feed();
        lock.lock();
        auto wake = std::min(next_beat, next_census);
        if (!all_idle())
            wake = std::min(wake, now() + tick);
        if (next_eta_ && !stopping_ && taken_.empty() &&
            std::ranges::find(busy_, false) != busy_.end())
            wake = std::min(wake, steady_of(*next_eta_));
        if (!stopping_ && room_to_begin() > 0)
            if (const auto next = rate_limited_.next(now()))
                wake = std::min(wake, *next);
        keeper_wake_.wait_until(lock, wake, [&] { return ending_ || store_changed_ || room_; });
    }
}

// One claim at a time: heartbeats must not wait until a long queue is empty.
void worker_pool::impl::feed() {
    std::uint32_t now_max = 0, ahead_max = 0;
    std::int64_t owner = 0;
    std::vector<std::string> queues;
    {
        std::lock_guard lock(guard_);
        const auto idle = idle_threads();
        const auto waiting = taken_.size();
        now_max = static_cast<std::uint32_t>(idle > waiting ? idle - waiting : 0);
        const std::size_t beyond = waiting > idle ? waiting - idle : 0;
        const std::size_t ahead = ahead_wanted();
        ahead_max = static_cast<std::uint32_t>(ahead > beyond ? ahead - beyond : 0);
        // A few at a time are not worth a transaction while there is work in hand.
        if (now_max == 0 && (ahead_max == 0 || ahead_max < ahead / 2))
            return;
        owner = owner_;
        queues = queues_;
    }
    auto& store = *core_->store;
    auto claimed = store.claim(owner, queues, now_max, ahead_max);
    if (!claimed) {
        feed_failed_ = true; // tried again with the next census
        core_->keeping.note_trouble(claimed.error().message);
        core_->log().warning("no job could be taken", {{"error", claimed.error().message}});
        return;
    }
    const auto eta = store.next_eta();
    next_eta_ = eta ? *eta : std::nullopt;
    if (!claimed->empty())
        admit(*std::move(claimed));
}

// Those that may start go to the threads; the others wait for the rate limit of their task.
void worker_pool::impl::admit(std::vector<jobs::claimed_job> claimed) {
    using place = jobs::rate_limited_jobs::place;
    std::vector<jobs::held_job> too_late;
    std::vector<jobs::put_off> later;
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        owner = owner_;
        const auto at = now();
        for (auto& job : claimed) {
            if (stopping_) {
                too_late.push_back({job.seq, job.counted});
                continue;
            }
            const auto admitted = rate_limited_.admit(job, at);
            if (admitted.where == place::start)
                taken_.push_back(std::move(job));
            else if (admitted.where == place::store)
                later.push_back({{job.seq, job.counted}, utc_of(admitted.until)});
        }
        last_taken_ = at;
        room_ = true; // there may be more
    }
    work_there_.notify_all();
    core_->store->give_back(owner, std::move(too_late));
    core_->count().limited.add(static_cast<std::int64_t>(later.size()));
    core_->store->postpone(owner, std::move(later));
}

// With guard_ held.
std::size_t worker_pool::impl::idle_threads() const {
    const auto busy = static_cast<std::size_t>(std::ranges::count(busy_, true));
    return wanted_ > busy ? wanted_ - busy : 0;
}

// With guard_ held. A token is taken when there is a thread for it, or about to be.
std::size_t worker_pool::impl::room_to_begin() const {
    const auto enough = idle_threads() + ahead_wanted();
    return enough > taken_.size() ? enough - taken_.size() : 0;
}

void worker_pool::impl::begin_due() {
    std::lock_guard lock(guard_);
    auto due = rate_limited_.due(room_to_begin(), now());
    if (due.empty())
        return;
    std::ranges::move(due, std::back_inserter(taken_));
    last_taken_ = now();
    work_there_.notify_all();
}

void worker_pool::impl::hear_cancels() {
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        if (all_idle() && rate_limited_.size() == 0) {
            cancel_marks_.clear();
            return;
        }
        owner = owner_;
    }
    auto marked = core_->store->cancelled_of(owner);
    if (!marked)
        return;
    const auto is_marked = [&](std::int64_t seq) {
        return std::ranges::find(*marked, seq) != marked->end();
    };
    {
        std::lock_guard lock(guard_);
        for (auto& job : taken_)
            if (is_marked(job.seq))
                job.cancel = true;
        rate_limited_.cancel(is_marked);
        cancel_marks_ = *marked;
    }
    for (const auto& each : runs())
        if (is_marked(each->job().seq))
            each->request_stop(stop_reason::cancelled);
}

void worker_pool::impl::beat() {
    if (quitting_)
        return; // it is about to be gone, and is not to enlist again
    std::int64_t owner = 0;
    std::uint64_t processed = 0;
    {
        std::lock_guard lock(guard_);
        owner = owner_;
        processed = processed_;
    }
    auto there = core_->store->heartbeat(owner, processed);
    beat_failed_ = !there;
    if (!there) {
        core_->keeping.note_trouble(there.error().message);
        core_->log().warning("a heartbeat was not written", {{"error", there.error().message}});
    } else if (!*there) {
        declare_lost();
    }
}

// Somebody declared this worker dead while it stood still: its jobs run elsewhere by now.
void worker_pool::impl::declare_lost() {
    core_->log().warning(
        "this worker stood still longer than its lease; its jobs have passed to others",
        {{"worker", name}});
    for (const auto& each : runs())
        each->request_stop(stop_reason::lost);
    {
        std::lock_guard lock(guard_);
        taken_.clear();
        rate_limited_.take_all();
        store_changed_ = true;
    }
    if (auto again = enlist(); !again)
        core_->log().error("this worker could not enlist again",
                           {{"error", again.error().message}});
}

// False when the store could not be asked.
bool worker_pool::impl::tend() {
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        owner = owner_;
    }
    auto lost = core_->store->tend(owner);
    if (lost) {
        core_->count().lost.add(*lost);
        return true;
    }
    core_->keeping.note_trouble(lost.error().message);
    core_->log().warning("the job store could not be tended", {{"error", lost.error().message}});
    return false;
}

void worker_pool::impl::look_after_runs() {
    const auto at = now();
    for (const auto& each : runs()) {
        each->check_time_limit(at);
        if (at - each->begun() >= count_after)
            each->count_now();
    }
    replace_overdue(at);
    join_freed();
    hand_back_stuck();
}

// A thread cannot be ended from outside: where a handler stays past its hard time limit, another one takes its place.
void worker_pool::impl::replace_overdue(steady_time at) {
    std::lock_guard lock(guard_);
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
        auto& present = slots_[slot];
        if (!present || !present->hard_limit_passed(at) || ending_)
            continue;
        if (stuck_.size() >= stuck_per_slot_max * slots_.size() || !present->take_end())
            continue;
        stuck_.push_back({std::move(workers_[slot]), slot, generations_[slot]++});
        ++*core_->stuck;
        core_->log().error("a handler did not leave when its hard time limit passed",
                           {{"job", present->job().id}, {"task", present->job().task}});
        begin_thread(slot, std::exchange(present, nullptr));
    }
}

void worker_pool::impl::join_freed() {
    std::vector<stuck_thread> freed;
    {
        std::lock_guard lock(guard_);
        for (auto& each : stuck_)
            if (each.left)
                freed.push_back(std::move(each));
        std::erase_if(stuck_, [](const auto& each) { return !each.thread.joinable(); });
    }
    for (auto& each : freed)
        each.thread.join();
}

// Short jobs were taken ahead, then long ones filled all threads: others may run what waits here.
void worker_pool::impl::hand_back_stuck() {
    std::vector<jobs::held_job> stuck;
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        if (taken_.empty() || now() - last_taken_ < stuck_after)
            return;
        for (const auto& job : taken_)
            stuck.push_back({job.seq, job.counted});
        taken_.clear();
        owner = owner_;
        mean_run_s_ = 1;
    }
    core_->store->give_back(owner, std::move(stuck));
}

} // namespace carillon
