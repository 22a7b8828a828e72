// The part of broker_store that serves workers: what they take of the deliveries, run, and hand back.
#include <algorithm>

#include "jobs/broker_store.hpp"

namespace carillon::jobs {

namespace {

namespace celery = wire::celery;

constexpr std::chrono::milliseconds stuck_after{500}; // deliveries that nobody took go back
constexpr std::chrono::seconds exact_for{10};         // and no slack is asked for so long

} // namespace

claimed_job broker_store::claimed(std::int64_t seq, const delivered& d) const {
    claimed_job job;
    job.seq = seq;
    job.queue = d.queue;
    job.cancel = d.cancel;
    if (!d.message) {
        job.id = d.known.id;
        job.task = d.known.task;
        job.message = d.unreadable;
        return job;
    }
    const auto& m = *d.message;
    job.id = m.id;
    job.task = m.task;
    job.priority = m.priority;
    job.attempts = job.retries = m.retries;
    job.losses = d.losses;
    job.expires = m.expires;
    auto heard_by = group_of(m);
    job.group = std::move(heard_by.group);
    job.event_type = std::move(heard_by.event_type);
    job.message = d.message;
    return job;
}

result<std::vector<claimed_job>> broker_store::claim(std::int64_t owner,
                                                     std::span<const std::string> queues,
                                                     std::uint32_t now_max,
                                                     std::uint32_t ahead_max) {
    take_in();
    std::vector<claimed_job> taken;
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        auto asks = workers_.find(owner);
        if (asks == workers_.end())
            return failure{errc::not_found, "this worker has not been added"};
        tended_ = now();
        wake_due(calls);
        for (const auto seq : lanes_.due(now()))
            try_again(seq);
        asks->second.held_up = asks->second.endings.size() >= endings_max;
        const std::size_t enough = asks->second.held_up ? 0 : std::size_t{now_max} + ahead_max;
        std::deque<std::int64_t> others;
        while (taken.size() < enough && !ready_.empty()) {
            const auto seq = ready_.front();
            ready_.pop_front();
            auto& d = *out_.at(seq);
            if (std::ranges::find(queues, d.queue) == queues.end()) {
                others.push_back(seq);
                continue;
            }
            if (needs_permit(d)) { // is not taken ahead of its run
                if (taken.size() + asking_ < now_max && !asks->second.held_up)
                    ask(seq, d, calls);
                else
                    others.push_back(seq);
                continue;
            }
            d.owner = owner;
            taken.push_back(claimed(seq, d));
        }
        ready_.insert(ready_.begin(), others.begin(), others.end());
        asks->second.wants = static_cast<std::uint32_t>(enough - taken.size());
        adjust_prefetch(false, calls);
    }
    make_calls(calls);
    return taken;
}

void broker_store::adjust_prefetch(bool exact, std::vector<action>& calls) {
    appetite a;
    std::vector<std::string> queues;
    for (const auto& [owner, each] : workers_) {
        if (each.resting)
            continue;
        a.wanted += each.wants;
        queues.insert(queues.end(), each.shown.queues.begin(), each.shown.queues.end());
    }
    std::ranges::sort(queues);
    queues.erase(std::unique(queues.begin(), queues.end()), queues.end());
    a.held = held_.size() + lanes_.size() + asking_;
    for (const auto& [seq, d] : out_)
        a.in_hand += d->owner != 0 && d->tag != 0 && !d->acknowledged;
    const auto level = next_prefetch(prefetch_, a, exact || now() < exact_until_);
    if (level == prefetch_ && queues == consumed_)
        return;
    prefetch_ = level;
    consumed_ = queues;
    calls.push_back([this, queues = std::move(queues), level] { broker_->consume(queues, level); });
}

// More came than this worker can do soon: others may do it.
void broker_store::hand_back_stuck(std::vector<action>& calls) {
    const auto late = now() - stuck_after;
    std::vector<std::uint64_t> tags;
    std::erase_if(ready_, [&](std::int64_t seq) {
        auto there = out_.find(seq);
        if (there->second->since > late)
            return false;
        const auto d = std::move(there->second);
        out_.erase(there);
        tags.push_back(d->tag);
        // Nobody here could use its place: those behind it go, too, to who can.
        if (d->permit == permission::given)
            for (const auto other : lanes_.halve(d->lane)) {
                tags.push_back(out_.at(other)->tag);
                out_.erase(other);
            }
        leave_permit(seq, *d, false);
        return true;
    });
    if (tags.empty())
        return;
    // First the prefetch: else they come back to this worker.
    exact_until_ = now() + exact_for;
    adjust_prefetch(true, calls);
    calls.push_back([this, tags = std::move(tags)] {
        for (const auto tag : tags)
            broker_->reject(tag, true);
    });
}

// Nobody here takes jobs any more.
void broker_store::hand_back_all(std::vector<action>& calls) {
    auto tags = held_.tags();
    held_.clear();
    std::erase_if(out_, [&](const auto& each) {
        if (each.second->owner != 0)
            return false;
        tags.push_back(each.second->tag);
        leave_permit(each.first, *each.second, false);
        return true;
    });
    ready_.clear();
    lanes_.clear();
    {
        std::lock_guard inbox(inbox_guard_);
        for (const auto& each : inbox_)
            tags.push_back(each.tag);
        inbox_.clear();
    }
    if (tags.empty())
        return;
    calls.push_back([this, tags = std::move(tags)] {
        for (const auto tag : tags)
            broker_->reject(tag, true);
    });
}

bool broker_store::begin_run(std::int64_t seq, std::int64_t owner) {
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        auto found = out_.find(seq);
        if (found == out_.end() || found->second->owner != owner)
            return false;
        auto& d = *found->second;
        const auto& m = *d.message;
        if (d.tag == 0) { // not begun when its connection was lost: only its copy runs
            orphans_.erase(m.id);
            leave_permit(seq, d, false);
            out_.erase(found);
            return false;
        }
        d.begun = true;
        d.started = now();
        tell_events([&](event_sender& events) { events.started(m.id); });
        const auto* entry = registry_.find(m.task);
        const auto* asked = m.extra.find("carillon_track_started");
        const bool track = (entry && entry->options.track_started) || (asked && asked->to_bool());
        if (track && !m.ignore_result.value_or(false)) {
            celery::result_record started;
            started.task_id = m.id;
            started.status = celery::state::started;
            const auto& me = workers_.at(owner).shown;
            started.outcome = object{{"pid", me.pid}, {"hostname", me.name}};
            started.group_id = m.group;
            started.parent_id = m.parent_id;
            calls.push_back([this, started, of = d.message] {
                results_->put(started, of->reply_to, of->correlation_id,
                              [](const result<void>&) {});
            });
        }
        if (entry && !entry->options.acks_late) {
            d.acknowledged = true;
            calls.push_back([this, tag = d.tag] { broker_->ack(tag); });
        }
    }
    make_calls(calls);
    return true;
}

void broker_store::note_progress(std::int64_t seq, std::int64_t owner, std::int64_t progress,
                                 std::string message) {
    shared_message of;
    {
        std::lock_guard lock(guard_);
        auto found = out_.find(seq);
        if (found == out_.end() || found->second->owner != owner || found->second->ending)
            return;
        of = found->second->message;
    }
    if (of->ignore_result.value_or(false))
        return;
    celery::result_record record;
    record.task_id = of->id;
    record.status = celery::state::progress;
    record.outcome = object{{"progress", progress}, {"message", std::move(message)}};
    record.group_id = of->group;
    record.parent_id = of->parent_id;
    results_->put(std::move(record), of->reply_to, of->correlation_id, [](const result<void>&) {});
}

void broker_store::give_back(std::int64_t owner, std::vector<held_job> jobs) {
    if (jobs.empty())
        return;
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        std::vector<std::uint64_t> tags;
        for (const auto& job : jobs) {
            auto found = out_.find(job.seq);
            if (found == out_.end() || found->second->owner != owner)
                continue;
            if (found->second->acknowledged)
                calls.push_back([this, queue = found->second->queue, m = found->second->message] {
                    publish(queue, *m, [this, m](const result<void>& outcome) {
                        if (!outcome)
                            log_.error("a job that was acknowledged early could not be put back",
                                       {{"job", m->id}, {"error", outcome.error().message}});
                    });
                });
            else if (found->second->tag != 0)
                tags.push_back(found->second->tag);
            if (found->second->message)
                orphans_.erase(found->second->message->id);
            leave_permit(job.seq, *found->second, false);
            out_.erase(found);
        }
        if (auto found = workers_.find(owner); found != workers_.end())
            found->second.wants = 0;
        exact_until_ = now() + exact_for;
        adjust_prefetch(true, calls);
        calls.push_back([this, tags = std::move(tags)] {
            for (const auto tag : tags)
                broker_->reject(tag, true);
        });
    }
    make_calls(calls);
}

void broker_store::postpone(std::int64_t owner, std::vector<put_off> jobs) {
    if (jobs.empty())
        return;
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        for (const auto& each : jobs) {
            auto found = out_.find(each.job.seq);
            if (found == out_.end() || found->second->owner != owner)
                continue;
            if (const auto tag = found->second->tag; tag != 0)
                calls.push_back([this, tag, until = each.until] { broker_->delay(tag, until); });
            if (found->second->message)
                orphans_.erase(found->second->message->id);
            out_.erase(found);
        }
    }
    make_calls(calls);
}

} // namespace carillon::jobs
