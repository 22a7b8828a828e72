// The tables of queue.db, and the states that its rows pass through.
#pragma once

#include <cstdint>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/job.hpp>

#include "db/sqlite.hpp"

namespace carillon::jobs {

// What stands in the column `state`. The values are in the file: they never change.
enum class row_state : std::int64_t {
    limited = -2, // waits until fewer jobs with its key run: embedded_concurrency.hpp
    planned = -1, // a step whose turn has not come: it has an id, and no message yet
    ready = 0,
    delayed = 1,  // until its eta
    running = 2,  // held by a worker, its run is counted
    reserved = 3, // held by a worker that has not begun it
    completed = 4,
    failed = 5,
    cancelled = 6,
};

constexpr job_state shown_state(row_state state) noexcept {
    switch (state) {
    case row_state::running: return job_state::running;
    case row_state::completed: return job_state::completed;
    case row_state::failed: return job_state::failed;
    case row_state::cancelled: return job_state::cancelled;
    default: return job_state::waiting;
    }
}

// Times are stored as microseconds since 1970, UTC.
constexpr std::int64_t to_micros(utc_time when) noexcept { return when.time_since_epoch().count(); }
constexpr utc_time from_micros(std::int64_t micros) noexcept {
    return utc_time(std::chrono::microseconds(micros));
}

// Creates what is missing. errc::conflict when the file was made by a newer program.
result<void> prepare_schema(db::sqlite::connection& on);

} // namespace carillon::jobs
