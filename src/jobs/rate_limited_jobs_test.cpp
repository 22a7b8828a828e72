#include "jobs/rate_limited_jobs.hpp"

#include <doctest/doctest.h>

namespace carillon::jobs {

using namespace std::chrono_literals;

namespace {

using place = rate_limited_jobs::place;

claimed_job job_of(std::string task, std::int64_t seq) {
    claimed_job job;
    job.seq = seq;
    job.id = "id-" + std::to_string(seq);
    job.task = std::move(task);
    return job;
}

std::vector<std::int64_t> seqs(const std::vector<claimed_job>& jobs) {
    std::vector<std::int64_t> all;
    for (const auto& each : jobs)
        all.push_back(each.seq);
    return all;
}

struct bench {
    rate_limits rates;
    rate_limited_jobs waiting;
    steady_time start = now();

    explicit bench(rate_limited_jobs::bounds bounds = {}) : waiting(rates, bounds) {
        REQUIRE(rates.set("slow", "1/s"));
    }
    rate_limited_jobs::admission admit(std::string task, std::int64_t seq, steady_time at) {
        auto job = job_of(std::move(task), seq);
        return waiting.admit(job, at);
    }
};

using numbers = std::vector<std::int64_t>;

} // namespace

TEST_CASE("jobs of a limited task wait in their order, those of others do not wait") {
    bench b;
    CHECK(b.admit("slow", 1, b.start).where == place::start);
    CHECK(b.admit("slow", 2, b.start).where == place::here);
    CHECK(b.admit("slow", 3, b.start).where == place::here);
    CHECK(b.admit("quick", 4, b.start).where == place::start);
    CHECK(b.waiting.size() == 2);
    CHECK(b.waiting.next(b.start) == b.start + 1s);
    CHECK(b.waiting.due(9, b.start + 500ms).empty());
    CHECK(seqs(b.waiting.due(9, b.start + 1s)) == numbers{2});
    // the token that is there is for the one that has waited longer
    CHECK(b.admit("slow", 5, b.start + 2s).where == place::here);
    CHECK(b.waiting.due(0, b.start + 2s).empty());
    CHECK(seqs(b.waiting.due(9, b.start + 2s)) == numbers{3});
    CHECK(b.waiting.find("id-5") != nullptr);
    CHECK(b.waiting.find("id-3") == nullptr);
    CHECK(seqs(b.waiting.show(9)) == numbers{5});
    CHECK(seqs(b.waiting.take_all()) == numbers{5});
    CHECK(b.waiting.size() == 0);
    CHECK_FALSE(b.waiting.next(b.start).has_value());
}

TEST_CASE("a limit that is lifted lets all go at once") {
    bench b;
    for (int i = 1; i <= 4; ++i)
        b.admit("slow", i, b.start);
    REQUIRE(b.rates.set("slow", 0));
    CHECK(b.waiting.next(b.start) == b.start);
    CHECK(seqs(b.waiting.due(9, b.start)) == numbers{2, 3, 4});
}

TEST_CASE("a job that is cancelled or expired needs no token") {
    bench b;
    for (int i = 1; i <= 4; ++i)
        b.admit("slow", i, b.start);
    b.waiting.cancel([](std::int64_t seq) { return seq == 4; });
    CHECK(b.waiting.next(b.start) == b.start);
    const auto due = b.waiting.due(9, b.start);
    REQUIRE(seqs(due) == numbers{4});
    CHECK(due.front().cancel);
    auto late = job_of("slow", 5);
    late.expires = utc_now() - 1s;
    CHECK(b.waiting.admit(late, b.start).where == place::start);
    CHECK(seqs(b.waiting.due(9, b.start + 1s)) == numbers{2}); // whose token nobody has taken
}

TEST_CASE("what would wait for too long, or is too much, is put off, each to a slot of its own") {
    bench b({2, 10s, 5s});
    b.admit("slow", 1, b.start);
    CHECK(b.admit("slow", 2, b.start).where == place::here);
    CHECK(b.admit("slow", 3, b.start).where == place::here);
    const auto first = b.admit("slow", 4, b.start), second = b.admit("slow", 5, b.start);
    CHECK(first.where == place::store);
    CHECK(first.until == b.start + 3s);
    CHECK(second.until == b.start + 4s);
    for (int i = 6; i < 10; ++i)
        CHECK(b.admit("slow", i, b.start).until == b.start + 5s);
    b.waiting.forget_slots("slow");
    CHECK(b.admit("slow", 10, b.start).until == b.start + 3s);
    REQUIRE(b.rates.set("rare", "1/h"));
    CHECK(b.admit("rare", 11, b.start).where == place::start);
    const auto rare = b.admit("rare", 12, b.start);
    CHECK(rare.where == place::store);
    CHECK(rare.until == b.start + 5s);
}

} // namespace carillon::jobs
