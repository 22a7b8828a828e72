#include "jobs/embedded_store.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <carillon/wire/json.hpp>

#include "jobs/records.hpp"
#include "wire/celery/message.hpp"

namespace carillon::jobs {

namespace {

using db::sqlite::connection;
using db::sqlite::reset_at_end;
using db::sqlite::statement;

value micros_or_null(const std::optional<utc_time>& when) {
    return when ? value(to_micros(*when)) : value();
}

constexpr std::string_view claim_sql =
    "UPDATE jobs SET state = ?, owner = ?, worker = (SELECT name FROM workers WHERE seq = ?), "
    "attempts = attempts + ?, started = ?, progress = 0, message = '' WHERE seq IN "
    "(SELECT seq FROM jobs WHERE state = 0 AND queue = ? AND losses <= ? "
    "ORDER BY priority DESC, seq LIMIT ?) RETURNING seq, id, task, queue, priority, attempts, "
    "retries, losses, cancel, expires, group_name, event_type";

struct claim_request {
    std::int64_t owner;
    std::string_view queue;
    std::uint32_t count;
    bool ahead;
};

result<void> claim_from(connection& on, const claim_request& wanted,
                        std::vector<claimed_job>& taken) {
    constexpr std::int64_t any_number = INT64_MAX;
    auto prepared = on.cached(claim_sql);
    if (!prepared)
        return prepared.error();
    auto& claim = **prepared;
    reset_at_end after(claim);
    claim.bind(1,
               static_cast<std::int64_t>(wanted.ahead ? row_state::reserved : row_state::running));
    claim.bind(2, wanted.owner);
    claim.bind(3, wanted.owner);
    claim.bind(4, std::int64_t{wanted.ahead ? 0 : 1});
    claim.bind(5, to_micros(utc_now()));
    claim.bind(6, wanted.queue);
    claim.bind(7, wanted.ahead ? 0 : any_number);
    claim.bind(8, std::int64_t{wanted.count});
    for (;;) {
        auto more = claim.step();
        if (!more)
            return more.error();
        if (!*more)
            return {};
        claimed_job& job = taken.emplace_back();
        job.seq = claim.integer(0);
        job.id = claim.text(1);
        job.task = claim.text(2);
        job.queue = claim.text(3);
        job.priority = claim.integer(4);
        job.attempts = claim.integer(5);
        job.retries = claim.integer(6);
        job.losses = claim.integer(7);
        job.counted = !wanted.ahead;
        job.cancel = claim.integer(8) != 0;
        if (!claim.is_null(9))
            job.expires = from_micros(claim.integer(9));
        job.group = claim.text(10);
        job.event_type = claim.text(11);
    }
}

result<void> load_message(connection& on, claimed_job& job) {
    auto prepared = on.cached("SELECT headers, properties, body FROM messages WHERE seq = ?");
    if (!prepared)
        return prepared.error();
    auto& found = **prepared;
    reset_at_end after(found);
    found.bind(1, job.seq);
    auto there = found.step();
    if (!there)
        return there.error();
    // A job without its message is settled as failed by whoever decodes the empty texts.
    if (*there) {
        job.headers = found.text(0);
        job.properties = found.text(1);
        job.body = found.text(2);
    }
    return {};
}

result<void> promote_due(connection& on) {
    auto done = on.execute("UPDATE jobs SET state = 0 WHERE state = 1 AND eta <= ?",
                           {to_micros(utc_now())});
    return done ? result<void>() : done.error();
}

result<void> add_row(connection& on, const new_job& job) {
    auto added =
        on.query("INSERT INTO jobs (id, task, queue, state, priority, eta, expires, created, "
                 "group_name, event_type) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
                 {job.id, job.task, job.queue,
                  static_cast<std::int64_t>(job.eta ? row_state::delayed : row_state::ready),
                  job.priority, micros_or_null(job.eta), micros_or_null(job.expires),
                  to_micros(utc_now()), job.group, job.event_type});
    if (!added)
        return added.error().code == errc::conflict
                   ? failure{errc::conflict, fmt::format("a job with the id {} exists", job.id)}
                   : added.error();
    auto stored =
        on.execute("INSERT INTO messages (seq, headers, properties, body) VALUES (?, ?, ?, ?)",
                   {added->front().at(0), job.headers, job.properties, job.body});
    return stored ? result<void>() : stored.error();
}

result<bool> write_end(connection& on, const run_end& end) {
    const bool again = end.state == row_state::delayed;
    const std::int64_t counted = (end.ran ? 1 : 0) - (end.job.counted ? 1 : 0);
    auto changed = on.execute(
        "UPDATE jobs SET state = ?, owner = NULL, attempts = attempts + ?, retries = retries + ?, "
        "progress = ?, "
        "message = ?, result = ?, error = ?, eta = ?, finished = ? "
        "WHERE seq = ? AND owner = ? AND state IN (2, 3)",
        {static_cast<std::int64_t>(end.state), counted, again ? 1 : 0, end.progress, end.message,
         end.result_json ? value(*end.result_json) : value(), end.error, micros_or_null(end.eta),
         again ? value() : value(to_micros(utc_now())), end.job.seq, end.owner});
    if (!changed)
        return changed.error();
    if (*changed == 0 || !again)
        return *changed > 0;
    auto renewed =
        on.execute("UPDATE messages SET headers = ? WHERE seq = ?", {end.headers, end.job.seq});
    return renewed ? result<bool>(true) : renewed.error();
}

result<void> write_given_back(connection& on, std::int64_t owner,
                              const std::vector<held_job>& jobs) {
    for (const auto& job : jobs) {
        auto done = on.execute("UPDATE jobs SET state = 0, owner = NULL, attempts = attempts - ? "
                               "WHERE seq = ? AND owner = ? AND state IN (2, 3)",
                               {job.counted ? 1 : 0, job.seq, owner});
        if (!done)
            return done.error();
    }
    return {};
}

// A job that never lost a worker before goes back at once. One that did may be what kills them: it waits, twice as long
// each time, 64 s at most.
constexpr std::string_view return_sql =
    "UPDATE jobs SET owner = NULL, state = CASE WHEN losses = 0 THEN 0 ELSE 1 END, "
    "eta = CASE WHEN losses = 0 THEN eta ELSE ? + (1 << min(losses - 1, 6)) * 1000000 END, "
    "losses = losses + 1, error = ? WHERE owner = ? AND state IN (2, 3)";

// The message as it was first sent, so that a job put back by hand has all its tries again.
result<void> renew_message(connection& on, std::int64_t seq) {
    claimed_job job;
    job.seq = seq;
    if (auto loaded = load_message(on, job); !loaded)
        return loaded;
    auto message = wire::celery::decode(job.headers, job.properties, job.body);
    if (!message)
        return {}; // it fails again, with the same reason
    message->retries = 0;
    message->eta.reset();
    auto encoded = wire::celery::encode(*message);
    if (!encoded)
        return encoded.error();
    auto stored =
        on.execute("UPDATE messages SET headers = ? WHERE seq = ?", {encoded->headers, seq});
    return stored ? result<void>() : stored.error();
}

} // namespace

void embedded_store::add(const new_job& job, std::function<void(const result<void>&)> done) {
    group_commit::operation wanted;
    wanted.apply = [job](connection& on) { return add_row(on, job); };
    wanted.settled = std::move(done);
    {
        // Counted at once: the measure of the last second would let a burst through.
        std::lock_guard lock(changes_guard_);
        ++(job.eta ? depth_.delayed : depth_.ready);
    }
    writer_->submit(std::move(wanted));
}

result<std::optional<job_record>> embedded_store::request_cancel(std::string_view id) {
    std::optional<job_record> before;
    auto marked = writer_->run([&](connection& on) -> result<void> {
        auto found = find_record(on, id);
        if (!found)
            return found.error();
        before = *std::move(found);
        if (!before || is_final(before->state))
            return {};
        auto done =
            on.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state < 4", {std::string(id)});
        return done ? result<void>() : done.error();
    });
    if (!marked)
        return marked.error();
    return before;
}

result<bool> embedded_store::settle_cancelled(std::string_view id, const std::string& message) {
    bool settled = false;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto changed = on.execute("UPDATE jobs SET state = 6, message = ?, finished = ? "
                                  "WHERE id = ? AND cancel = 1 AND state IN (0, 1)",
                                  {message, to_micros(utc_now()), std::string(id)});
        if (!changed)
            return changed.error();
        settled = *changed > 0;
        return {};
    });
    if (!done)
        return done.error();
    return settled;
}

result<std::optional<bool>> embedded_store::requeue(std::string_view id) {
    std::optional<bool> outcome;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto found = on.query("SELECT seq, state FROM jobs WHERE id = ?", {std::string(id)});
        if (!found)
            return found.error();
        if (found->empty())
            return {};
        const auto state = static_cast<row_state>(found->front().at(1).to_int());
        outcome = state == row_state::failed || state == row_state::cancelled;
        if (!*outcome)
            return {};
        const auto seq = found->front().at(0).to_int();
        if (auto renewed = renew_message(on, seq); !renewed)
            return renewed;
        auto changed = on.execute(
            "UPDATE jobs SET state = 0, cancel = 0, attempts = 0, retries = 0, losses = 0, "
            "progress = 0, "
            "message = '', result = NULL, error = '', eta = NULL, expires = NULL, started = NULL, "
            "finished = NULL WHERE seq = ?",
            {seq});
        return changed ? result<void>() : changed.error();
    });
    if (!done)
        return done.error();
    return outcome;
}

result<std::vector<claimed_job>> embedded_store::claim(std::int64_t owner,
                                                       std::span<const std::string> queues,
                                                       std::uint32_t now_max,
                                                       std::uint32_t ahead_max) {
    std::vector<claimed_job> taken;
    auto done = writer_->run([&](connection& on) -> result<void> {
        taken.clear();
        if (auto promoted = promote_due(on); !promoted)
            return promoted;
        for (const bool ahead : {false, true}) {
            const auto enough = std::size_t{now_max} + (ahead ? ahead_max : 0);
            for (std::size_t i = 0; i < queues.size() && taken.size() < enough; ++i) {
                const auto& queue = queues[(turn_ + i) % queues.size()];
                const auto count = static_cast<std::uint32_t>(enough - taken.size());
                if (auto from = claim_from(on, {owner, queue, count, ahead}, taken); !from)
                    return from;
            }
        }
        ++turn_;
        for (auto& job : taken)
            if (auto loaded = load_message(on, job); !loaded)
                return loaded;
        return {};
    });
    if (!done)
        return done.error();
    // RETURNING promises no order.
    std::ranges::stable_sort(taken, [](const auto& a, const auto& b) {
        return a.counted != b.counted     ? a.counted
               : a.priority != b.priority ? a.priority > b.priority
                                          : a.seq < b.seq;
    });
    return taken;
}

void embedded_store::end_run(run_end end, std::function<void(bool held)> done) {
    auto held = std::make_shared<bool>(false);
    group_commit::operation wanted;
    wanted.apply = [end = std::move(end), held](connection& on) -> result<void> {
        auto written = write_end(on, end);
        *held = written && *written;
        return written ? result<void>() : written.error();
    };
    wanted.settled = [held, done = std::move(done)](const result<void>& settled) {
        if (done)
            done(settled && *held);
    };
    wanted.until_done = true;
    writer_->submit(std::move(wanted));
}

void embedded_store::note_progress(std::int64_t seq, std::int64_t owner, std::int64_t progress,
                                   std::string message) {
    group_commit::operation wanted;
    wanted.apply = [=, message = std::move(message)](connection& on) -> result<void> {
        auto done =
            on.execute("UPDATE jobs SET progress = ?, message = ? WHERE seq = ? AND owner = ? "
                       "AND state IN (2, 3)",
                       {progress, message, seq, owner});
        return done ? result<void>() : done.error();
    };
    writer_->submit(std::move(wanted));
}

void embedded_store::note_started(std::int64_t seq, std::int64_t owner) {
    group_commit::operation wanted;
    wanted.apply = [=](connection& on) -> result<void> {
        auto done = on.execute("UPDATE jobs SET state = 2, attempts = attempts + 1, started = ? "
                               "WHERE seq = ? AND owner = ? AND state = 3",
                               {to_micros(utc_now()), seq, owner});
        return done ? result<void>() : done.error();
    };
    wanted.until_done = true;
    writer_->submit(std::move(wanted));
}

void embedded_store::give_back(std::int64_t owner, std::vector<held_job> jobs) {
    if (jobs.empty())
        return;
    group_commit::operation wanted;
    wanted.apply = [owner, jobs = std::move(jobs)](connection& on) {
        return write_given_back(on, owner, jobs);
    };
    wanted.until_done = true;
    writer_->submit(std::move(wanted));
}

result<std::int64_t> embedded_store::add_worker(const worker_info& worker,
                                                std::chrono::milliseconds lease) {
    std::int64_t seq = 0;
    array queues(worker.queues.begin(), worker.queues.end());
    array registered(worker.registered.begin(), worker.registered.end());
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto added =
            on.query("INSERT INTO workers (uuid, name, pid, threads, queues, registered, started, "
                     "heartbeat, lease_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
                     {worker.id, worker.name, worker.pid, worker.threads, queues, registered,
                      to_micros(worker.started), to_micros(utc_now()), lease.count()});
        if (!added)
            return added.error();
        seq = added->front().at(0).to_int();
        return {};
    });
    if (!done)
        return done.error();
    return seq;
}

result<bool> embedded_store::heartbeat(std::int64_t owner, std::uint64_t processed) {
    bool there = false;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto changed = on.execute(
            "UPDATE workers SET heartbeat = ?, beat = beat + 1, processed = ? WHERE seq = ?",
            {to_micros(utc_now()), processed, owner});
        if (!changed)
            return changed.error();
        there = *changed > 0;
        return {};
    });
    if (!done)
        return done.error();
    return there;
}

result<std::int64_t> embedded_store::remove_worker(std::int64_t owner, const std::string& why) {
    std::int64_t returned = 0;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto changed = on.execute(return_sql, {to_micros(utc_now()), why, owner});
        if (!changed)
            return changed.error();
        returned = *changed;
        auto removed = on.execute("DELETE FROM workers WHERE seq = ?", {owner});
        return removed ? result<void>() : removed.error();
    });
    if (!done)
        return done.error();
    return returned;
}

result<std::int64_t> embedded_store::purge(utc_time before) {
    std::int64_t removed = 0;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto changed =
            on.execute("DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE state >= 4 "
                       "AND finished < ? LIMIT ?)",
                       {to_micros(before), purge_rows_max});
        if (!changed)
            return changed.error();
        removed = *changed;
        return {};
    });
    if (!done)
        return done.error();
    return removed;
}

} // namespace carillon::jobs
