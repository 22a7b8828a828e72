#include "jobs/backoff.hpp"

#include <doctest/doctest.h>

#include "jobs/census.hpp"

namespace carillon::jobs {

using std::chrono::milliseconds;

TEST_CASE("the wait doubles up to its limit, and jitter takes a part of it") {
    job_options options;
    options.retry_jitter = false;
    CHECK(retry_wait(options, 0, 1) == milliseconds(1'000));
    CHECK(retry_wait(options, 1, 1) == milliseconds(2'000));
    CHECK(retry_wait(options, 2, 1) == milliseconds(4'000));
    CHECK(retry_wait(options, 9, 1) == milliseconds(512'000));
    CHECK(retry_wait(options, 10, 1) == milliseconds(600'000));
    CHECK(retry_wait(options, 1'000'000, 1) == milliseconds(600'000));
    options.retry_jitter = true;
    CHECK(retry_wait(options, 2, 0) == milliseconds(0));
    CHECK(retry_wait(options, 2, 0.25) == milliseconds(1'000));
    CHECK(retry_wait(options, 2, 1) == milliseconds(4'000));
}

TEST_CASE(
    "a worker is dead when its lock is free, or when its heartbeat stands still for a lease") {
    census watch;
    const auto start = now();
    worker_row a, b;
    a.seq = 1;
    b.seq = 2;
    a.lease = b.lease = milliseconds(600);
    CHECK(watch.dead_among({a, b}, {true, true}, start).empty());

    a.beat = 1;
    auto dead = watch.dead_among({a, b}, {true, true}, start + milliseconds(601));
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].seq == 2);
    CHECK_FALSE(dead[0].process_ended);

    dead = watch.dead_among({a}, {false}, start + milliseconds(602));
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].seq == 1);
    CHECK(dead[0].process_ended);
}

} // namespace carillon::jobs
