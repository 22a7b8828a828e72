// The part of embedded_store that knows the workers of a data folder: their rows, the locks that show that they live,
// and what happens to the jobs of those that died.
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "jobs/embedded_concurrency.hpp"
#include "jobs/embedded_store.hpp"
#include "jobs/records.hpp"

namespace carillon::jobs {

namespace {

using db::sqlite::connection;

// A job that never lost a worker before goes back at once. One that did may be what kills them: it waits, twice as long
// each time, 64 s at most.
constexpr std::string_view return_sql =
    "UPDATE jobs SET owner = NULL, state = CASE WHEN losses = 0 THEN 0 ELSE 1 END, "
    "eta = CASE WHEN losses = 0 THEN eta ELSE ? + (1 << min(losses - 1, 6)) * 1000000 END, "
    "losses = losses + 1, error = ? WHERE owner = ? AND state IN (2, 3)";

} // namespace

result<std::int64_t> embedded_store::add_worker(const worker_info& worker,
                                                std::chrono::milliseconds lease) {
    // The lock before the row: a row without a held lock is a dead worker.
    if (auto held = hold_lock(worker.id); !held)
        return held.error();
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
    own_lock(worker.id, seq);
    return seq;
}

void embedded_store::serve(std::int64_t owner, std::vector<std::string> queues) {
    group_commit::operation wanted;
    wanted.apply = [owner, named = array(queues.begin(), queues.end())](connection& on) {
        auto changed = on.execute("UPDATE workers SET queues = ? WHERE seq = ?", {named, owner});
        return changed ? result<void>() : changed.error();
    };
    wanted.until_done = true;
    writer_->submit(std::move(wanted));
}

void embedded_store::leave() {
    const auto nothing = [](connection&) -> result<void> { return {}; };
    if (auto done = writer_->run(nothing); !done) // what was submitted before is in its transaction
        log_.warning("the last changes of jobs may not be on disk",
                     {{"error", done.error().message}});
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

result<std::int64_t> embedded_store::bury(std::int64_t owner, const std::string& why) {
    std::int64_t returned = 0;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto keys = keys_held_by(on, owner);
        if (!keys)
            return keys.error();
        auto changed = on.execute(return_sql, {to_micros(utc_now()), why, owner});
        if (!changed)
            return changed.error();
        returned = *changed;
        for (const auto& each : *keys)
            if (auto left = free_place(on, each); !left)
                return left;
        auto removed = on.execute("DELETE FROM workers WHERE seq = ?", {owner});
        return removed ? result<void>() : removed.error();
    });
    if (!done)
        return done.error();
    drop_lock(owner);
    return returned;
}

result<void> embedded_store::remove_worker(std::int64_t owner, const std::string& why) {
    auto returned = bury(owner, why);
    return returned ? result<void>() : returned.error();
}

// A worker that enlists again after it was declared dead has its lock already.
result<void> embedded_store::hold_lock(const std::string& worker_uuid) {
    std::lock_guard lock(workers_guard_);
    for (const auto& each : locks_)
        if (each.worker_uuid == worker_uuid)
            return {};
    auto held = file_lock::create(lock_of(worker_uuid), fmt::format("process {}", ::getpid()));
    if (!held)
        return held.error();
    locks_.push_back({worker_uuid, 0, *std::move(held)});
    return {};
}

void embedded_store::own_lock(const std::string& worker_uuid, std::int64_t owner) {
    std::lock_guard lock(workers_guard_);
    for (auto& each : locks_)
        if (each.worker_uuid == worker_uuid)
            each.owner = owner;
}

void embedded_store::drop_lock(std::int64_t owner) {
    std::lock_guard lock(workers_guard_);
    for (const auto& each : locks_) {
        std::error_code ignored;
        if (each.owner == owner)
            std::filesystem::remove(lock_of(each.worker_uuid), ignored);
    }
    std::erase_if(locks_, [&](const auto& each) { return each.owner == owner; });
}

result<std::int64_t> embedded_store::tend(std::int64_t owner) {
    auto rows = worker_rows();
    if (!rows)
        return rows.error();
    std::vector<bool> held;
    for (const auto& each : *rows)
        held.push_back(file_lock::is_held(lock_of(each.shown.id)));
    std::vector<census::verdict> dead;
    {
        std::lock_guard lock(workers_guard_);
        dead = census_.dead_among(*rows, held, now());
    }
    std::int64_t lost = 0;
    for (const auto& each : dead) {
        if (each.seq == owner)
            continue;
        const auto& shown = std::ranges::find(*rows, each.seq, &worker_row::seq)->shown;
        auto returned =
            bury(each.seq, each.process_ended ? "its worker died"
                                              : "its worker stood still longer than its lease");
        if (!returned) {
            log_.warning("the jobs of a dead worker could not be returned",
                         {{"error", returned.error().message}});
            continue;
        }
        lost += *returned;
        log_.warning("a worker is gone; its jobs return to their queues",
                     {{"worker", shown.name}, {"pid", shown.pid}, {"jobs", *returned}});
        std::error_code ignored;
        if (each.process_ended)
            std::filesystem::remove(lock_of(shown.id), ignored);
    }
    return lost;
}

result<std::vector<worker_info>> embedded_store::workers() {
    auto rows = worker_rows();
    if (!rows)
        return rows.error();
    std::vector<worker_info> shown;
    for (auto& each : *rows)
        shown.push_back(std::move(each.shown));
    return shown;
}

result<std::vector<worker_row>> embedded_store::worker_rows() {
    auto found = read("SELECT * FROM workers ORDER BY seq");
    if (!found)
        return found.error();
    std::vector<worker_row> workers;
    for (const auto& each : *found) {
        auto& w = workers.emplace_back(worker_of(each));
        const auto silent = utc_now() - w.shown.heartbeat;
        w.shown.answering = silent < w.lease && file_lock::is_held(lock_of(w.shown.id));
    }
    return workers;
}

std::filesystem::path embedded_store::lock_of(const std::string& worker_uuid) const {
    return options_.data_dir / "workers" / (worker_uuid + ".lock");
}

} // namespace carillon::jobs
