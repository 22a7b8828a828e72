// The part of broker_store that knows its workers, hears what is revoked and does what has to be done now and then.
#include <algorithm>

#include "jobs/broker_store.hpp"

namespace carillon::jobs {

namespace {

constexpr std::chrono::seconds depth_interval{5};
constexpr int keeps_per_life = 3; // of a place

} // namespace

result<std::int64_t> broker_store::add_worker(const worker_info& added, std::chrono::milliseconds) {
    std::vector<action> calls;
    std::int64_t owner = 0;
    {
        std::lock_guard lock(guard_);
        owner = ++last_owner_;
        worker& w = workers_[owner];
        w.shown = added;
        w.shown.heartbeat = utc_now();
        w.shown.answering = true;
        w.wants = added.threads;
        tended_ = now();
        if (workers_.size() == 1)
            calls.push_back([this, node = added.name] { broker_->listen_to_control(node); });
        adjust_prefetch(false, calls);
    }
    make_calls(calls);
    return owner;
}

void broker_store::serve(std::int64_t owner, std::vector<std::string> queues) {
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        auto found = workers_.find(owner);
        if (found == workers_.end())
            return;
        found->second.shown.queues = std::move(queues);
        adjust_prefetch(false, calls);
    }
    make_calls(calls);
}

void broker_store::rest(std::int64_t owner) {
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        if (auto found = workers_.find(owner); found != workers_.end())
            found->second.resting = true;
        adjust_prefetch(true, calls);
        if (consumed_.empty())
            hand_back_all(calls);
    }
    make_calls(calls);
}

result<bool> broker_store::heartbeat(std::int64_t owner, std::uint64_t processed) {
    std::lock_guard lock(guard_);
    auto found = workers_.find(owner);
    if (found == workers_.end())
        return false;
    found->second.shown.heartbeat = utc_now();
    found->second.shown.processed = processed;
    return true;
}

result<std::int64_t> broker_store::tend(std::int64_t) {
    take_in();
    const auto state = broker_->status();
    std::vector<action> calls;
    std::int64_t lost = 0;
    {
        std::lock_guard lock(guard_);
        tended_ = now();
        if (state)
            heard_good_ = now();
        ask_for_idle_lanes(calls);
        hand_back_stuck(calls);
        lost = std::exchange(lost_, 0);
    }
    make_calls(calls);
    return lost;
}

result<void> broker_store::remove_worker(std::int64_t owner, const std::string&) {
    rest(owner);
    std::vector<std::shared_ptr<sequence>> endings;
    {
        std::lock_guard lock(guard_);
        if (auto found = workers_.find(owner); found != workers_.end())
            endings.assign(found->second.endings.begin(), found->second.endings.end());
    }
    for (const auto& each : endings)
        each->give_up();
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        workers_.erase(owner);
        std::vector<std::uint64_t> tags;
        std::erase_if(out_, [&](const auto& each) {
            if (each.second->owner != owner)
                return false;
            if (each.second->tag != 0 && !each.second->acknowledged)
                tags.push_back(each.second->tag);
            leave_permit(each.first, *each.second, false);
            return true;
        });
        calls.push_back([this, tags = std::move(tags)] {
            for (const auto tag : tags)
                broker_->reject(tag, true);
        });
    }
    make_calls(calls);
    return {};
}

result<std::vector<worker_info>> broker_store::workers() {
    std::lock_guard lock(guard_);
    std::vector<worker_info> shown;
    for (const auto& [owner, each] : workers_)
        shown.push_back(each.shown);
    return shown;
}

result<std::optional<utc_time>> broker_store::next_eta() {
    std::lock_guard lock(guard_);
    auto first = held_.next();
    if (const auto next = lanes_.next()) {
        const auto when = utc_now() + std::chrono::ceil<std::chrono::milliseconds>(*next - now());
        first = first ? std::min<utc_time>(*first, when) : when;
    }
    return first;
}

// --- revocations

void broker_store::revoke(const std::vector<std::string>& ids, bool terminate) {
    revoked_.add(ids);
    stop_jobs(ids, terminate);
}

void broker_store::stop_jobs(const std::vector<std::string>& ids, bool terminate) {
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        for (const auto& id : ids) {
            for (const auto& each : held_.take(id))
                sort_in(each, read(each), calls);
            for (auto& [seq, d] : out_)
                if (d->message && d->message->id == id && (terminate || !d->begun)) {
                    d->cancel = true;
                    if (lanes_.remove(d->lane, seq))
                        try_again(seq); // to be settled
                }
        }
    }
    make_calls(calls);
    changed();
}

std::vector<held_messages::waiting> broker_store::scheduled(std::size_t count) const {
    std::lock_guard lock(guard_);
    return held_.show(count);
}

void broker_store::set_ears(node_ears ears) {
    std::lock_guard lock(ears_guard_);
    ears_ = std::move(ears);
}

result<std::vector<std::int64_t>> broker_store::cancelled_of(std::int64_t owner) {
    std::lock_guard lock(guard_);
    std::vector<std::int64_t> marked;
    for (const auto& [seq, d] : out_)
        if (d->cancel && d->owner == owner)
            marked.push_back(seq);
    return marked;
}

// --- what has to be done now and then

void broker_store::keep_house() {
    auto touched = now(), kept = now(), measured = now() - depth_interval;
    std::unique_lock lock(guard_);
    while (!closing_) {
        std::vector<std::shared_ptr<sequence>> again;
        again.swap(paused_);
        std::vector<std::uint64_t> tags;
        if (now() - touched >= options_.touch_interval) {
            touched = now();
            tags = held_.tags();
            for (const auto& [seq, d] : out_)
                if (d->tag != 0 && !d->acknowledged)
                    tags.push_back(d->tag);
        }
        if (now() - kept >= options_.place_life / keeps_per_life) {
            kept = now();
            ledger_->keep(held_permits());
        }
        const bool measure = !consumed_.empty() && !asked_ && now() - measured >= depth_interval;
        if (measure)
            asked_ = now();
        auto queues = measure ? consumed_ : std::vector<std::string>();
        std::vector<action> calls;
        if (consumed_.empty())
            hand_back_all(calls); // what was on its way when the last worker left
        lock.unlock();
        const bool broker_good = broker_->status().has_value();
        const bool results_good = results_->status().has_value();
        make_calls(calls);
        for (const auto& each : again)
            each->resume();
        if (!tags.empty())
            broker_->touch(std::move(tags));
        if (measure) {
            measured = now();
            broker_->depths(std::move(queues), [this](const auto& told) {
                std::lock_guard heard(guard_);
                asked_.reset();
                if (!told)
                    return;
                depth_ = {};
                for (const auto& each : *told) {
                    depth_.ready += static_cast<std::int64_t>(each.ready);
                    depth_.delayed += static_cast<std::int64_t>(each.delayed.value_or(0));
                }
            });
        }
        lock.lock();
        if (broker_good)
            heard_good_ = now();
        if (results_good)
            results_good_ = now();
        const auto pause = std::min<std::chrono::milliseconds>(
            {options_.retry_pause, options_.touch_interval, options_.place_life / keeps_per_life});
        wake_.wait_for(lock, pause, [&] { return closing_.load(); });
    }
}

} // namespace carillon::jobs
