// The rows of queue.db that hold a job and its message. Everything here runs on the writer thread, inside its
// transaction.
#pragma once

#include <optional>
#include <string>

#include "db/sqlite.hpp"
#include "jobs/job_store.hpp"
#include "jobs/store_schema.hpp"

namespace carillon::jobs {

inline value micros_or_null(const std::optional<utc_time>& when) {
    return when ? value(to_micros(*when)) : value();
}

// A job as its rows, ready to be written.
struct new_row {
    std::string id, task, queue;
    group_headers heard_by;
    std::int64_t priority = 0;
    std::optional<utc_time> eta, expires;
    std::string unique_key;
    concurrency_limit limit;
    wire::celery::encoded_message stored;
};

// errc::too_large where the message takes more than `bytes_max`. Any thread.
result<new_row> row_of(const wire::celery::message& m, std::string queue, std::size_t bytes_max);

// Gives the id of the job: another one's where it holds the unique key. errc::conflict where the id is taken.
result<std::string> add_row(db::sqlite::connection& on, const new_row& job);

// Empty texts where there is none: whoever decodes them settles the job as failed.
result<void> load_message(db::sqlite::connection& on, std::int64_t seq,
                          wire::celery::encoded_message& into);

// Several changes of which either all or none are made; others of the same transaction stay.
template <class Changes>
result<void> whole_or_nothing(db::sqlite::connection& on, Changes changes) {
    if (auto begun = on.run("SAVEPOINT part"); !begun)
        return begun;
    auto made = changes();
    if (!made)
        if (auto undone = on.run("ROLLBACK TO part"); !undone)
            return undone;
    auto kept = on.run("RELEASE part");
    return made ? kept : made;
}

} // namespace carillon::jobs
