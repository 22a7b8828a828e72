#include "jobs/store_schema.hpp"

#include <span>

#include <fmt/format.h>

namespace carillon::jobs {

namespace {

constexpr std::int64_t schema_version = 3;

// The message is a table of its own because it never changes: each change of a job rewrites its whole row, and
// arguments may be large. Partial indexes keep claims independent of how many delayed and finished jobs there are.
constexpr const char* first_schema[] = {
    "CREATE TABLE jobs ("
    "seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL, queue "
    "TEXT NOT NULL, "
    "state INTEGER NOT NULL, priority INTEGER NOT NULL DEFAULT 0, eta INTEGER, expires INTEGER, "
    "owner INTEGER, worker TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0, "
    "retries INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0, "
    "cancel INTEGER NOT NULL DEFAULT 0, progress INTEGER NOT NULL DEFAULT 0, "
    "message TEXT NOT NULL DEFAULT '', result TEXT, error TEXT NOT NULL DEFAULT '', "
    "created INTEGER NOT NULL, started INTEGER, finished INTEGER, "
    "group_name TEXT NOT NULL DEFAULT '', event_type TEXT NOT NULL DEFAULT '')",
    "CREATE INDEX jobs_ready ON jobs(queue, priority DESC) WHERE state = 0",
    "CREATE INDEX jobs_delayed ON jobs(eta) WHERE state = 1",
    "CREATE INDEX jobs_held ON jobs(owner) WHERE state IN (2, 3)",
    "CREATE INDEX jobs_finished ON jobs(finished) WHERE state >= 4",
    "CREATE TABLE messages (seq INTEGER PRIMARY KEY REFERENCES jobs(seq) ON DELETE CASCADE, "
    "headers TEXT NOT NULL, properties TEXT NOT NULL, body TEXT NOT NULL)",
    // AUTOINCREMENT: a number that was a dead worker's never names a living one.
    "CREATE TABLE workers (seq INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, "
    "name TEXT NOT NULL, pid INTEGER NOT NULL, threads INTEGER NOT NULL, queues TEXT NOT NULL, "
    "registered TEXT NOT NULL, processed INTEGER NOT NULL DEFAULT 0, started INTEGER NOT NULL, "
    "heartbeat INTEGER NOT NULL, beat INTEGER NOT NULL DEFAULT 0, lease_ms INTEGER NOT NULL)",
};
// Version 2: unique keys and workflows. A key is taken as long as its job is not finished.
constexpr const char* second_schema[] = {
    "ALTER TABLE jobs ADD COLUMN unique_key TEXT",
    "CREATE UNIQUE INDEX jobs_unique ON jobs(unique_key) WHERE unique_key IS NOT NULL AND state < "
    "4",
    "CREATE TABLE chords (group_id TEXT PRIMARY KEY, size INTEGER NOT NULL, created INTEGER NOT "
    "NULL)",
    "CREATE TABLE chord_members (group_id TEXT NOT NULL, score REAL NOT NULL, member TEXT NOT "
    "NULL, "
    "PRIMARY KEY (group_id, score))",
};

// Version 3: concurrency limits.
constexpr const char* third_schema[] = {
    "ALTER TABLE jobs ADD COLUMN limit_key TEXT",
    "ALTER TABLE jobs ADD COLUMN limit_max INTEGER",
    "CREATE INDEX jobs_limited ON jobs(limit_key, state, queue, priority DESC) "
    "WHERE limit_key IS NOT NULL AND state < 4",
};

result<void> run_all(db::sqlite::connection& on, std::span<const char* const> statements) {
    for (auto* sql : statements)
        if (auto done = on.run(sql); !done)
            return done;
    return {};
}

result<std::int64_t> version_of(db::sqlite::connection& on) {
    auto found = on.query("PRAGMA user_version", {});
    if (!found)
        return found.error();
    return found->front().at(0).to_int();
}

result<void> create(db::sqlite::connection& on) {
    auto version = version_of(on);
    if (!version)
        return version.error();
    if (*version > schema_version)
        return failure{errc::conflict, fmt::format("the job queue was made by a newer version: its "
                                                   "format is {}, this program knows {}",
                                                   *version, schema_version)};
    if (*version == schema_version)
        return {};
    if (*version < 1)
        if (auto done = run_all(on, first_schema); !done)
            return done;
    if (*version < 2)
        if (auto done = run_all(on, second_schema); !done)
            return done;
    if (auto done = run_all(on, third_schema); !done)
        return done;
    return on.run(fmt::format("PRAGMA user_version = {}", schema_version));
}

} // namespace

result<void> prepare_schema(db::sqlite::connection& on) {
    if (auto begun = on.run("BEGIN IMMEDIATE"); !begun)
        return begun;
    auto made = create(on);
    if (made)
        return on.run("COMMIT");
    if (auto undone = on.run("ROLLBACK"); !undone)
        return undone;
    return made;
}

} // namespace carillon::jobs
