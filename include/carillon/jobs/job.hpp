// What a job is to those who look at it: its arguments, its states, its record and the news of its changes.
//
// A job is what Celery calls a task: a named piece of background work with arguments. Command line and wire keep
// Celery's word.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/base/value.hpp>

namespace carillon {

// Celery's arguments: positional and named. `{"path": "x.csv"}` and `[1, 2]` are both possible.
struct job_arguments {
    array args;
    object kwargs;

    job_arguments() = default;
    job_arguments(array positional) : args(std::move(positional)) {}
    job_arguments(object named) : kwargs(std::move(named)) {}
    job_arguments(array positional, object named)
        : args(std::move(positional)), kwargs(std::move(named)) {}

    // The named argument; a null value stands for one that is missing.
    const value& operator[](std::string_view name) const noexcept;
    // The positional argument, or the named one where the caller gave a name; null when there is neither.
    const value& get(std::size_t position, std::string_view name) const noexcept;
};

// Where a job stands. The last three are final.
enum class job_state : std::uint8_t { waiting, running, completed, failed, cancelled };

// The word: "waiting", "running", "completed", "failed", "cancelled". Never null.
std::string_view name_of(job_state state) noexcept;
std::optional<job_state> job_state_of(std::string_view name) noexcept;
constexpr bool is_final(job_state state) noexcept { return state >= job_state::completed; }

// What the store knows of one job.
struct job_record {
    std::string id;
    std::string task;
    std::string queue;
    job_state state = job_state::waiting;
    std::int32_t priority = 0; // 0 to 9, the larger goes first
    std::int32_t progress = 0; // per cent, of the present or last attempt
    std::string message;       // what came with the progress
    value result;              // what the handler returned, once completed
    std::string error;         // why the last attempt failed; empty when none did
    // How many times it was run, also when the worker died in the middle; of these: how many failed and were tried
    // again, and how many ended with the death of their worker.
    std::uint32_t attempts = 0;
    std::uint32_t retries = 0;
    std::uint32_t losses = 0;
    bool cancel_requested = false;
    std::string worker; // name of the worker that runs it or ran it last
    std::string group;  // the channel-layer group that hears of it; empty: none
    std::string event_type;
    utc_time created;
    std::optional<utc_time> eta; // not before this time
    std::optional<utc_time> started;
    std::optional<utc_time> finished;
};

// The record as JSON members of the same names, times as ISO 8601.
value to_value(const job_record& record);

// What observers and groups are told of. `status` is "started", "in_progress", "completed", "failed" or "cancelled".
// Within one attempt progress never goes back; each attempt begins with "started" and progress 0.
struct job_update {
    std::string id;
    std::string task;
    std::string_view status; // a constant
    std::int32_t progress = 0;
    std::string message; // shown to people; the error where it failed
    std::uint32_t attempt = 1;
    // No further update follows, unless its worker dies before this one is on disk.
    bool final = false;
    value result;      // where completed
    std::string error; // where failed, and where an attempt failed that will be tried again
};

} // namespace carillon
