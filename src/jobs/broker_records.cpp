// Asking and waiting for what the result store knows of a job, as the record that users see.
#include <algorithm>

#include "jobs/awaited.hpp"
#include "jobs/broker_store.hpp"

namespace carillon::jobs {

namespace {

namespace celery = wire::celery;

job_state state_of(std::string_view status) {
    if (status == celery::state::success)
        return job_state::completed;
    if (status == celery::state::failure)
        return job_state::failed;
    if (status == celery::state::revoked)
        return job_state::cancelled;
    if (status == celery::state::pending || status == celery::state::received ||
        status == celery::state::retry)
        return job_state::waiting;
    return job_state::running; // STARTED, PROGRESS and what tasks invent
}

} // namespace

job_record broker_store::record_of(const celery::result_record& r, const sent_job* sent) const {
    job_record job;
    job.id = r.task_id;
    job.state = state_of(r.status);
    if (sent) {
        job.task = sent->task;
        job.queue = sent->queue;
        job.created = sent->created;
    }
    const auto text = [&](std::string_view name, std::string& into) {
        if (const auto* there = r.extended.find(name); there && there->is_string())
            into = there->to_text();
    };
    text("name", job.task);
    text("queue", job.queue);
    text("worker", job.worker);
    if (const auto* retries = r.extended.find("retries"))
        job.retries = static_cast<std::uint32_t>(std::max<std::int64_t>(0, retries->to_int()));
    if (celery::holds_exception(r.status)) {
        const auto raised = celery::read_exception(r.outcome);
        const auto why = celery::to_failure(raised);
        (job.state == job_state::cancelled ? job.message : job.error) = why.message;
    } else if (r.status == celery::state::progress) {
        job.progress = static_cast<std::int32_t>(
            std::clamp<std::int64_t>(r.outcome["progress"].to_int(), 0, 100));
        job.message = r.outcome["message"].to_text();
    } else if (r.status == celery::state::started) {
        job.worker = r.outcome["hostname"].to_text();
    } else if (job.state == job_state::completed) {
        job.result = r.outcome;
        job.progress = 100;
    }
    job.finished = r.date_done;
    return job;
}

result<std::optional<job_record>> broker_store::get(std::string_view id) {
    std::optional<sent_job> sent;
    {
        std::lock_guard lock(guard_);
        if (auto found = sent_by_id_.find(std::string(id)); found != sent_by_id_.end())
            sent = *found->second;
    }
    if (sent && sent->last && celery::is_final(sent->last->status))
        return std::optional<job_record>(record_of(*sent->last, &*sent));
    awaited<std::optional<celery::result_record>> asked;
    results_->get(std::string(id), asked.teller());
    auto known = asked.wait();
    if (!known)
        return known.error();
    if (*known)
        return std::optional<job_record>(record_of(**known, sent ? &*sent : nullptr));
    if (!sent)
        return std::optional<job_record>();
    celery::result_record pending;
    pending.task_id = id;
    return std::optional<job_record>(record_of(sent->last.value_or(pending), &*sent));
}

void broker_store::open_watch(const std::string& id) {
    std::lock_guard in_order(watching_guard_);
    {
        std::lock_guard lock(guard_);
        if (watches_[id].waiters++ > 0)
            return;
    }
    results_->watch(
        id, [this, id](const auto& heard) { hear_record(id, heard); },
        [this, id](const result<void>& ready) {
            std::lock_guard lock(guard_);
            if (auto found = watches_.find(id); !ready && found != watches_.end())
                found->second.refused = ready.error();
            heard_.notify_all();
        });
}

void broker_store::close_watch(const std::string& id) {
    std::lock_guard in_order(watching_guard_);
    {
        std::lock_guard lock(guard_);
        auto found = watches_.find(id);
        if (found == watches_.end() || --found->second.waiters > 0)
            return;
        watches_.erase(found);
    }
    results_->forget(id);
}

result<job_record> broker_store::wait(std::string_view wanted, steady_time deadline) {
    const std::string id(wanted);
    std::unique_lock lock(guard_);
    if (replies_) {
        // Watched for since before it was sent.
        const auto last = [&]() -> const sent_job* {
            auto found = sent_by_id_.find(id);
            return found == sent_by_id_.end() ? nullptr : &*found->second;
        };
        const auto ended = [&] {
            auto* sent = last();
            return closing_ || !sent || (sent->last && celery::is_final(sent->last->status));
        };
        const bool in_time = heard_.wait_until(lock, deadline, ended);
        auto* sent = last();
        if (!sent)
            return failure{errc::not_found, "only the process that sent a job hears of its result"};
        if (!in_time || closing_)
            return failure{errc::timed_out, "the job is not finished yet"};
        return record_of(*sent->last, sent);
    }
    lock.unlock();
    open_watch(id);
    lock.lock();
    auto& watched = watches_[id];
    heard_.wait_until(lock, deadline, [&] {
        return closing_ || watched.refused ||
               (watched.last && celery::is_final(watched.last->status));
    });
    const auto last = watched.last;
    const auto refused = watched.refused;
    std::optional<sent_job> sent;
    if (auto found = sent_by_id_.find(id); found != sent_by_id_.end())
        sent = *found->second;
    lock.unlock();
    close_watch(id);
    if (last && celery::is_final(last->status))
        return record_of(*last, sent ? &*sent : nullptr);
    return refused ? *refused : failure{errc::timed_out, "the job is not finished yet"};
}

} // namespace carillon::jobs
