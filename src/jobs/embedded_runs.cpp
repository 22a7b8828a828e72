// The part of embedded_store that serves workers: how they take jobs, run them and end them.
#include <algorithm>
#include <limits>

#include <carillon/wire/json.hpp>

#include "jobs/embedded_concurrency.hpp"
#include "jobs/embedded_rows.hpp"
#include "jobs/embedded_store.hpp"
#include "jobs/records.hpp"

namespace carillon::jobs {

namespace {

using db::sqlite::connection;
using db::sqlite::reset_at_end;
using db::sqlite::statement;

row_state row_of(end_state state) noexcept {
    switch (state) {
    case end_state::completed: return row_state::completed;
    case end_state::failed: return row_state::failed;
    case end_state::cancelled: return row_state::cancelled;
    case end_state::retried: return row_state::delayed;
    }
    return row_state::failed;
}

constexpr std::string_view claim_sql =
    "UPDATE jobs SET state = ?, owner = ?, worker = (SELECT name FROM workers WHERE seq = ?), "
    "attempts = attempts + ?, started = ?, progress = 0, message = '' WHERE seq IN "
    "(SELECT seq FROM jobs WHERE state = 0 AND queue = ? AND losses <= ? "
    "ORDER BY priority DESC, seq LIMIT ?) RETURNING seq, id, task, queue, priority, attempts, "
    "retries, losses, cancel, expires, group_name, event_type, limit_key, limit_max";

struct claim_request {
    std::int64_t owner;
    std::string_view queue;
    std::uint32_t count;
    bool ahead;
};

// A claimed job with its message as it lies in the file.
struct taken_row {
    claimed_job job;
    concurrency_limit limit;
    wire::celery::encoded_message stored;
};

result<void> claim_from(connection& on, const claim_request& wanted,
                        std::vector<taken_row>& taken) {
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
        claimed_job& job = taken.emplace_back().job;
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
        if (!claim.is_null(12))
            taken.back().limit = {std::string(claim.text(12)), claim.integer(13)};
        job.limited = !claim.is_null(12);
    }
}

// The same, without those that no limit lets begin: others come in their place.
result<void> claim_allowed(connection& on, claim_request wanted, std::vector<taken_row>& taken) {
    constexpr int rounds_max = 32; // in one transaction; the next claim goes on
    for (int round = 0; round < rounds_max && wanted.count > 0; ++round) {
        const auto before = static_cast<std::ptrdiff_t>(taken.size());
        if (auto from = claim_from(on, wanted, taken); !from)
            return from;
        std::vector<limited_claim> limited;
        for (auto each = taken.begin() + before; each != taken.end(); ++each)
            if (each->limit.max > 0)
                limited.push_back({each->job.seq, each->job.priority, each->job.counted,
                                   each->job.queue, each->limit});
        if (limited.empty())
            return {};
        auto back = keep_back(on, std::move(limited));
        if (!back)
            return back.error();
        std::erase_if(taken, [&](const auto& each) {
            return std::ranges::find(*back, each.job.seq) != back->end();
        });
        wanted.count = static_cast<std::uint32_t>(back->size());
    }
    return {};
}

std::vector<claimed_job> in_order(std::vector<taken_row> taken) {
    std::vector<claimed_job> jobs;
    jobs.reserve(taken.size());
    for (auto& [job, limit, stored] : taken) {
        job.unread = std::move(stored);
        jobs.push_back(std::move(job));
    }
    // RETURNING promises no order.
    std::ranges::stable_sort(jobs, [](const auto& a, const auto& b) {
        return a.counted != b.counted     ? a.counted
               : a.priority != b.priority ? a.priority > b.priority
                                          : a.seq < b.seq;
    });
    return jobs;
}

result<void> promote_due(connection& on) {
    auto done = on.execute("UPDATE jobs SET state = 0 WHERE state = 1 AND eta <= ?",
                           {to_micros(utc_now())});
    return done ? result<void>() : done.error();
}

// The texts that an end brings along, made before the writer's turn.
struct end_texts {
    std::optional<std::string> result;
    std::optional<std::string> next_headers;
};

result<bool> write_end(connection& on, const run_end& end, const end_texts& texts) {
    const bool again = end.state == end_state::retried;
    const std::int64_t counted = (end.ran ? 1 : 0) - (end.job.counted ? 1 : 0);
    auto changed = on.execute(
        "UPDATE jobs SET state = ?, owner = NULL, attempts = attempts + ?, retries = retries + ?, "
        "progress = ?, "
        "message = ?, result = ?, error = ?, eta = ?, finished = ? "
        "WHERE seq = ? AND owner = ? AND state IN (2, 3)",
        {static_cast<std::int64_t>(row_of(end.state)), counted, again ? 1 : 0, end.progress,
         end.message, texts.result ? value(*texts.result) : value(), end.error,
         again ? micros_or_null(end.next->eta) : value(),
         again ? value() : value(to_micros(utc_now())), end.job.seq, end.owner});
    if (!changed)
        return changed.error();
    if (*changed > 0 && end.job.limited)
        if (auto freed = free_place_of(on, end.job.seq); !freed)
            return freed.error();
    if (*changed == 0 || !texts.next_headers)
        return *changed > 0;
    auto renewed = on.execute("UPDATE messages SET headers = ? WHERE seq = ?",
                              {*texts.next_headers, end.job.seq});
    return renewed ? result<bool>(true) : renewed.error();
}

result<void> write_given_back(connection& on, std::int64_t owner,
                              const std::vector<held_job>& jobs) {
    for (const auto& job : jobs) {
        auto done = on.query("UPDATE jobs SET state = 0, owner = NULL, attempts = attempts - ? "
                             "WHERE seq = ? AND owner = ? AND state IN (2, 3) RETURNING limit_key",
                             {job.counted ? 1 : 0, job.seq, owner});
        if (!done)
            return done.error();
        if (!done->empty() && done->front().at(0).is_string())
            if (auto freed = free_place(on, done->front().at(0).to_text()); !freed)
                return freed;
    }
    return {};
}

result<void> write_postponed(connection& on, std::int64_t owner, const std::vector<put_off>& jobs) {
    for (const auto& [job, until] : jobs) {
        auto done =
            on.execute("UPDATE jobs SET state = 1, eta = ?, owner = NULL, attempts = attempts - ? "
                       "WHERE seq = ? AND owner = ? AND state IN (2, 3)",
                       {to_micros(until), job.counted ? 1 : 0, job.seq, owner});
        if (!done)
            return done.error();
    }
    return {};
}

} // namespace

// How many more jobs of the queue may be in workers' hands.
result<std::uint32_t> embedded_store::room_of(connection& on, const std::string& queue) const {
    const auto limit = options_.queue_limits.find(queue);
    if (limit == options_.queue_limits.end())
        return std::numeric_limits<std::uint32_t>::max();
    auto held = held_of_queue(on, queue);
    if (!held)
        return held.error();
    const std::int64_t max = limit->second;
    return static_cast<std::uint32_t>(std::max<std::int64_t>(0, max - *held));
}

// Costs a read, no transaction, where nothing may start.
result<bool> embedded_store::worth_a_claim(std::span<const std::string> queues) {
    auto ready = has_ready(queues);
    if (!ready || *ready)
        return ready;
    auto eta = next_eta();
    if (!eta)
        return eta.error();
    return *eta && **eta <= utc_now();
}

result<std::vector<claimed_job>> embedded_store::claim(std::int64_t owner,
                                                       std::span<const std::string> queues,
                                                       std::uint32_t now_max,
                                                       std::uint32_t ahead_max) {
    auto worth = worth_a_claim(queues);
    if (!worth)
        return worth.error();
    if (!*worth)
        return std::vector<claimed_job>();
    std::vector<taken_row> taken;
    auto done = writer_->run([&](connection& on) -> result<void> {
        taken.clear();
        if (auto promoted = promote_due(on); !promoted)
            return promoted;
        for (const bool ahead : {false, true}) {
            const auto enough = std::size_t{now_max} + (ahead ? ahead_max : 0);
            for (std::size_t i = 0; i < queues.size() && taken.size() < enough; ++i) {
                const auto& queue = queues[(turn_ + i) % queues.size()];
                auto count = static_cast<std::uint32_t>(enough - taken.size());
                if (auto free = room_of(on, queue); !free)
                    return free.error();
                else
                    count = std::min(count, *free);
                if (auto from = claim_allowed(on, {owner, queue, count, ahead}, taken); !from)
                    return from;
            }
        }
        ++turn_;
        for (auto& each : taken)
            if (auto loaded = load_message(on, each.job.seq, each.stored); !loaded)
                return loaded;
        return {};
    });
    if (!done)
        return done.error();
    return in_order(std::move(taken));
}

void embedded_store::end_run(run_end end, std::function<void(bool held)> done) {
    end_texts texts;
    if (end.state == end_state::completed)
        texts.result = to_json(end.result);
    if (end.next) {
        auto encoded = wire::celery::encode(*end.next);
        CARILLON_ASSERT(encoded.has_value(), "a message that was read can be written");
        texts.next_headers = std::move(encoded->headers);
    }
    auto held = std::make_shared<bool>(false);
    auto following = consequences_of(end, workflow_.sending, log_);
    group_commit::operation wanted;
    if (following.none())
        wanted.apply = [end = std::move(end), texts = std::move(texts),
                        held](connection& on) -> result<void> {
            auto written = write_end(on, end, texts);
            *held = written && *written;
            return written ? result<void>() : written.error();
        };
    else
        wanted.apply = [this, end = std::move(end), texts = std::move(texts),
                        following = std::move(following), held](connection& on) -> result<void> {
            auto written = write_end(on, end, texts);
            *held = written && *written;
            if (!written)
                return written.error();
            return *held ? follow(on, end, following) : result<void>();
        };
    wanted.settled = [held, done = std::move(done)](const result<void>& settled) {
        if (done)
            done(settled && *held);
    };
    wanted.until_done = true;
    writer_->submit(std::move(wanted));
}

// A job that ended has ended: where what follows cannot be written, that is logged and left out, unless the disk
// failed.
result<void> embedded_store::follow(connection& on, const run_end& end,
                                    const consequences& following) {
    auto done = whole_or_nothing(on, [&] {
        return embedded_workflow(on, workflow_)
            .follow(following, {*end.of, end.state, outcome_of(end), end.error});
    });
    if (done || group_commit::spoils_transaction(done))
        return done;
    log_.error("what follows a job cannot be stored and is left out",
               {{"job", end.of->id}, {"task", end.of->task}, {"error", done.error().message}});
    return {};
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

void embedded_store::postpone(std::int64_t owner, std::vector<put_off> jobs) {
    if (jobs.empty())
        return;
    group_commit::operation wanted;
    wanted.apply = [owner, jobs = std::move(jobs)](connection& on) {
        return write_postponed(on, owner, jobs);
    };
    wanted.until_done = true;
    writer_->submit(std::move(wanted));
}

} // namespace carillon::jobs
