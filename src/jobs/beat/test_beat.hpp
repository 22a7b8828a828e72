// What the tests of schedules, of what remembers them, and of the beat have in common.
#pragma once

#include <memory>
#include <string_view>

#include <carillon/jobs/schedule.hpp>

#include "jobs/beat/slot_store.hpp"
#include "net/redis/test_redis.hpp"

namespace carillon::testing {

inline utc_time at(std::string_view text) { return from_iso8601(text).value(); }

inline job_schedule cron(std::string_view line, std::string_view zone = "UTC") {
    return job_schedule::cron(line, zone).value();
}

// The same for all that have that folder.
inline std::unique_ptr<jobs::slot_store> file_in(const net::redis::test::folder& where) {
    return jobs::open_slot_file(where.file("beat.db")).value();
}

} // namespace carillon::testing
