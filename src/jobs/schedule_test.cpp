#include <carillon/jobs/schedule.hpp>

#include <doctest/doctest.h>

#include "jobs/beat/test_beat.hpp"

namespace carillon::jobs {

using namespace std::chrono_literals;
using testing::at;
using testing::cron;

TEST_CASE("an interval is due at its whole multiples, whoever asks") {
    const auto every = job_schedule::every(10s).value();
    CHECK(every.text() == "every 10 s");
    CHECK(every.next(at("2026-01-01T00:00:03Z")) == at("2026-01-01T00:00:10Z"));
    CHECK(every.next(at("2026-01-01T00:00:10Z")) == at("2026-01-01T00:00:20Z"));
    CHECK(every.last(at("2026-01-01T00:00:03Z"), at("2026-01-01T00:00:09Z")) == std::nullopt);
    CHECK(every.last(at("2026-01-01T00:00:03Z"), at("2026-01-01T01:00:05Z")) ==
          at("2026-01-01T01:00:00Z"));
    CHECK(every.last(at("2026-01-01T00:00:03Z"), at("2026-01-01T00:00:10Z")) ==
          at("2026-01-01T00:00:10Z"));
    CHECK(every.last(at("2026-01-01T00:00:10Z"), at("2026-01-01T00:00:10Z")) == std::nullopt);
    CHECK(job_schedule::every(7s).value().next(at("1969-12-31T23:59:50Z")) ==
          at("1969-12-31T23:59:53Z"));
    CHECK_FALSE(job_schedule::every(99ms));
    CHECK_FALSE(job_schedule::every(std::chrono::hours(24 * 4'000)));
}

TEST_CASE("a crontab follows the clock on the wall of its zone") {
    const auto nightly = cron("30 2 * * *", "Europe/Oslo");
    CHECK(nightly.text() == "30 2 * * * Europe/Oslo");
    CHECK(nightly.next(at("2026-01-10T00:00:00Z")) == at("2026-01-10T01:30:00Z"));
    CHECK(nightly.next(at("2026-07-10T00:00:00Z")) == at("2026-07-10T00:30:00Z"));
    // 29 March 2026: 02:30 is left out; 25 October 2026: it comes twice
    CHECK(nightly.next(at("2026-03-28T12:00:00Z")) == at("2026-03-29T01:00:00Z"));
    CHECK(nightly.next(at("2026-10-24T12:00:00Z")) == at("2026-10-25T00:30:00Z"));
    CHECK(nightly.next(at("2026-10-25T00:30:00Z")) == at("2026-10-26T01:30:00Z"));
    CHECK(nightly.last(at("2025-01-01T00:00:00Z"), at("2026-10-25T23:00:00Z")) ==
          at("2026-10-25T00:30:00Z"));
    CHECK(cron("* * * * *").last(at("2016-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z")) ==
          at("2026-01-01T00:00:00Z"));
    CHECK(cron("* * * 1 *").last(at("2016-01-01T00:00:00Z"), at("2026-12-01T00:00:00Z")) ==
          at("2026-01-31T23:59:00Z"));
    CHECK(cron("0 0 29 2 *").last(at("2016-01-01T00:00:00Z"), at("2027-12-01T00:00:00Z")) ==
          at("2024-02-29T00:00:00Z"));
    CHECK_FALSE(job_schedule::cron("61 * * * *"));
    CHECK_FALSE(job_schedule::cron("* * * * *", "Nowhere/Land"));
}

TEST_CASE("a timetable has one line for each schedule, and names the one that is wrong") {
    timetable table;
    table.every("tidy", 90s, "proj.tidy")
        .cron("nightly", "30 2 * * mon-fri", "Europe/Oslo", "proj.build", array{1});
    REQUIRE(table.entries().size() == 2);
    const auto& nightly = table.entries()[1];
    CHECK(nightly.name == "nightly");
    CHECK(nightly.task == "proj.build");
    CHECK(nightly.arguments.args == array{1});
    CHECK(nightly.when.shown(at("2026-01-05T01:30:00Z")) == "2026-01-05 02:30 Europe/Oslo");
    CHECK(table.entries()[0].when.shown(at("2026-01-05T01:30:00Z")) == "2026-01-05 01:30 UTC");
    CHECK(job_schedule::every(1s).value().shown(at("2026-01-05T01:30:07.5Z")) ==
          "2026-01-05 01:30:07 UTC");
    CHECK_THROWS_WITH_AS(table.cron("bad", "* * * *", "UTC", "t"),
                         doctest::Contains("schedule entry \"bad\": "), error);
    CHECK_THROWS_AS(table.every("bad", 1ms, "t"), error);
    CHECK(table.entries().size() == 2);
}

} // namespace carillon::jobs
