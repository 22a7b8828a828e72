#include "jobs/group_commit.hpp"

#include <iterator>
#include <optional>

namespace carillon::jobs {

namespace {

constexpr std::chrono::milliseconds pause_after_failure{200};

} // namespace

bool group_commit::spoils_transaction(const result<void>& outcome) noexcept {
    if (outcome)
        return false;
    const auto code = outcome.error().code;
    return code == errc::unavailable || code == errc::corrupt || code == errc::internal;
}

group_commit::group_commit(db::sqlite::connection writer, logger& log,
                           std::function<void()> committed)
    : writer_(std::move(writer)), log_(log), committed_(std::move(committed)),
      thread_([this] { write_all(); }) {}

group_commit::~group_commit() {
    {
        std::lock_guard lock(guard_);
        ending_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void group_commit::submit(operation wanted) {
    {
        std::lock_guard lock(guard_);
        waiting_.push_back(std::move(wanted));
    }
    wake_.notify_one();
}

result<void> group_commit::run(std::function<result<void>(db::sqlite::connection&)> apply) {
    std::mutex guard;
    std::condition_variable told;
    std::optional<result<void>> outcome;
    operation wanted;
    wanted.apply = std::move(apply);
    wanted.settled = [&](const result<void>& settled) {
        // Notified under the lock: the waiting thread owns `told` and may be gone right after.
        std::lock_guard lock(guard);
        outcome = settled;
        told.notify_one();
    };
    submit(std::move(wanted));
    std::unique_lock lock(guard);
    told.wait(lock, [&] { return outcome.has_value(); });
    return *outcome;
}

std::size_t group_commit::pending() const {
    std::lock_guard lock(guard_);
    return waiting_.size() + under_way_;
}

void group_commit::write_all() {
    for (;;) {
        std::vector<operation> batch;
        {
            std::unique_lock lock(guard_);
            wake_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
            if (waiting_.empty())
                return;
            if (waiting_.size() <= transaction_operations_max) {
                batch.swap(waiting_);
            } else {
                const auto end = waiting_.begin() + transaction_operations_max;
                batch.assign(std::move_iterator(waiting_.begin()), std::move_iterator(end));
                waiting_.erase(waiting_.begin(), end);
            }
            under_way_ = batch.size();
        }
        write(batch);
        std::lock_guard lock(guard_);
        under_way_ = 0;
    }
}

result<void> group_commit::attempt(std::vector<operation>& batch,
                                   std::vector<result<void>>& outcomes) {
    if (auto begun = writer_.run("BEGIN IMMEDIATE"); !begun)
        return begun;
    for (auto& each : batch) {
        outcomes.push_back(each.apply(writer_));
        if (spoils_transaction(outcomes.back()))
            return outcomes.back();
    }
    return writer_.run("COMMIT");
}

void group_commit::write(std::vector<operation>& batch) {
    std::vector<result<void>> outcomes;
    outcomes.reserve(batch.size());
    const auto written = attempt(batch, outcomes);
    if (written) {
        for (std::size_t i = 0; i < batch.size(); ++i)
            if (batch[i].settled)
                batch[i].settled(outcomes[i]);
        if (committed_)
            committed_();
        return;
    }
    if (!writer_.idle())
        if (auto undone = writer_.run("ROLLBACK"); !undone)
            log_.error("a failed transaction could not be undone",
                       {{"error", undone.error().message}});
    log_.error("the job store could not be written",
               {{"error", written.error().message}, {"operations", batch.size()}});
    std::vector<operation> kept;
    for (auto& each : batch) {
        if (each.until_done)
            kept.push_back(std::move(each));
        else if (each.settled)
            each.settled(written);
    }
    put_back(std::move(kept));
}

void group_commit::put_back(std::vector<operation> kept) {
    if (kept.empty())
        return;
    std::unique_lock lock(guard_);
    // The queue is closing and its file cannot be written: the leases of these jobs will run out, and they run again.
    if (ending_) {
        lock.unlock();
        for (auto& each : kept)
            if (each.settled)
                each.settled(
                    failure{errc::unavailable, "the job store closed before it could be written"});
        return;
    }
    waiting_.insert(waiting_.begin(), std::move_iterator(kept.begin()),
                    std::move_iterator(kept.end()));
    wake_.wait_for(lock, pause_after_failure, [&] { return ending_; });
}

} // namespace carillon::jobs
