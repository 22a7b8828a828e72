#include <doctest/doctest.h>

#include "jobs/broker/held_messages.hpp"
#include "jobs/broker/prefetch.hpp"
#include "jobs/broker/sequence.hpp"
#include "wire/celery/message.hpp"

namespace carillon::jobs {

TEST_CASE("the prefetch is exact where few jobs are in hand, changes seldom where many are, and "
          "has no slack when none is wanted") {
    CHECK(next_prefetch(0, {0, 0, 2}, false) == 2);
    CHECK(next_prefetch(2, {0, 1, 1}, false) == 2);
    CHECK(next_prefetch(2, {0, 2, 500}, false) == 512);
    CHECK(next_prefetch(512, {0, 300, 150}, false) == 512);
    CHECK(next_prefetch(512, {0, 2, 0}, false) == 2);
    CHECK(next_prefetch(512, {0, 200, 0}, true) == 200);
    CHECK(next_prefetch(0, {0, 0, 0}, false) == 1);
    CHECK(next_prefetch(2, {10, 2, 0}, false) == 2 + 10 + 64);
    CHECK(next_prefetch(0, {100'000, 2, 0}, false) == prefetch_max);
}

TEST_CASE("held messages come back as they were, the earliest first") {
    held_messages held;
    delivery d;
    d.tag = 7;
    d.queue = "celery";
    d.redelivered = true;
    wire::celery::message m;
    m.task = "reports.csv";
    m.id = "the-id";
    m.args = {1, "zwei", nullptr};
    m.extra.append("bytes", bytes{std::byte{1}, std::byte{255}});
    d.parts = wire::celery::encode_parts(m).value();
    const auto eta = utc_now();
    held.add(eta + std::chrono::seconds(2), "later", d);
    held.add(eta + std::chrono::seconds(1), m.id, d);
    CHECK(held.next() == eta + std::chrono::seconds(1));
    CHECK(held.take_due(eta, 10).empty());
    const auto due = held.take_due(eta + std::chrono::seconds(1), 10);
    REQUIRE(due.size() == 1);
    CHECK(due[0].tag == 7);
    CHECK(due[0].queue == "celery");
    CHECK(due[0].redelivered);
    CHECK(due[0].parts.headers == d.parts.headers);
    CHECK(due[0].parts.properties == d.parts.properties);
    CHECK(due[0].parts.body == d.parts.body);
    CHECK(held.take("nobody").empty());
    CHECK(held.take("later").size() == 1);
    CHECK(held.size() == 0);
}

TEST_CASE("the steps of a sequence follow one another, pause, are skipped and given up") {
    std::vector<std::string> log;
    std::vector<std::shared_ptr<sequence>> paused;
    int tries = 0;
    std::optional<bool> ended;
    sequence::parts parts;
    std::weak_ptr<sequence> self;
    parts.steps.push_back([&](sequence::told done) {
        log.push_back("first");
        self.lock()->follow_with({[&](sequence::told next) {
            log.push_back("between");
            next({});
        }});
        done({});
    });
    parts.steps.push_back([&](sequence::told done) {
        log.push_back("flaky");
        ++tries < 3 ? done(failure{errc::unavailable, "away"}) : done({});
    });
    parts.steps.push_back([&](sequence::told done) { done(failure{errc::invalid, "never"}); });
    parts.judge = [](const failure& why) {
        return why.code == errc::unavailable ? sequence::verdict::pause : sequence::verdict::skip;
    };
    parts.paused = [&](std::shared_ptr<sequence> each) { paused.push_back(std::move(each)); };
    parts.ended = [&](bool completed) { ended = completed; };
    auto run = sequence::make(std::move(parts));
    self = run;
    run->start();
    CHECK_FALSE(ended);
    REQUIRE(paused.size() == 1);
    paused[0]->resume();
    CHECK_FALSE(ended);
    paused[1]->resume();
    CHECK(ended == true);
    CHECK(log == std::vector<std::string>{"first", "between", "flaky", "flaky", "flaky"});

    sequence::parts lost;
    std::optional<bool> given_up;
    sequence::told pending;
    lost.steps.push_back([&](sequence::told done) { pending = std::move(done); });
    lost.ended = [&](bool completed) { given_up = completed; };
    auto second = sequence::make(std::move(lost));
    second->start();
    second->give_up();
    CHECK(given_up == false);
    pending({}); // too late: nothing happens
    CHECK(given_up == false);
}

} // namespace carillon::jobs
