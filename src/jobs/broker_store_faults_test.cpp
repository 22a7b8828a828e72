// broker_store where something is lost: connections, results, acknowledgements, workers that stop.
#include "jobs/broker_store.hpp"

#include <atomic>
#include <climits>

#include <doctest/doctest.h>

#include "base/test_polling.hpp"
#include "jobs/test_station.hpp"

namespace carillon {

namespace celery = wire::celery;
using std::chrono::milliseconds;
using testing::add;
using testing::journal;
using testing::soon;
using testing::station;

TEST_CASE("a run that outlives its connection is joined to its redelivered message") {
    station here;
    testing::gate running, finish;
    std::atomic<int> runs{0};
    here.registry.add("long", [&](job_context&, const job_arguments&) -> value {
        ++runs;
        running.open();
        finish.pass();
        return "done";
    });
    auto& queue = here.open();
    auto pool = here.pool(2);
    const auto id = queue.enqueue("long", {}).value();
    REQUIRE(running.pass());
    here.broker->lose_connection();
    here.broker->reconnect();
    here.broker->settle(); // what waited has been delivered
    REQUIRE(here.server->wait([](const auto& s) { return s.unacknowledged.size() == 1; }));
    const auto limit = soon();
    while (here.metric("carillon_jobs_rejoined_total") < 1 && now() < limit)
        std::this_thread::yield(); // the keeper looks at it now or is at it
    CHECK(here.metric("carillon_jobs_rejoined_total") == 1);
    finish.open();
    CHECK(queue.wait(id, soon()).value().result == value("done"));
    REQUIRE(here.all_acknowledged());
    CHECK(runs == 1);
    CHECK(here.metric("carillon_jobs_unacknowledged_total") == 0);
}

TEST_CASE("a run that ends while the broker is away is not repeated here") {
    station here;
    testing::gate running, finish;
    std::atomic<int> runs{0};
    here.registry.add("long", [&](job_context&, const job_arguments&) -> value {
        ++runs;
        running.open();
        finish.pass();
        return "done";
    });
    auto& queue = here.open();
    auto pool = here.pool(2);
    const auto id = queue.enqueue("long", {}).value();
    REQUIRE(running.pass());
    here.broker->lose_connection();
    here.broker->settle();
    finish.open();
    CHECK(queue.wait(id, soon()).value().result == value("done"));
    while (here.store->pending() > 0)
        std::this_thread::yield();
    here.broker->reconnect();
    REQUIRE(here.all_acknowledged());
    CHECK(runs == 1);
    CHECK(here.metric("carillon_jobs_unacknowledged_total") == 1);
    CHECK(here.metric("carillon_jobs_repeated_total") == 1);
}

TEST_CASE("a job that the broker delivers again after its end is not repeated here") {
    station here;
    std::atomic<int> runs{0};
    here.registry.add("short", [&](job_context&, const job_arguments&) -> value { return ++runs; });
    auto& queue = here.open();
    auto pool = here.pool(2);
    celery::message m;
    m.task = "short";
    m.id = "twice";
    here.put(m);
    CHECK(queue.wait("twice", soon()).value().result == value(1));
    REQUIRE(here.all_acknowledged());
    here.put(m, true); // its acknowledgement was lost
    REQUIRE(here.all_acknowledged());
    CHECK(here.metric("carillon_jobs_repeated_total") == 1);
    CHECK(runs == 1);
    m.retries = 1; // another run of it
    here.put(m, true);
    REQUIRE(here.all_acknowledged());
    CHECK(runs == 2);
}

TEST_CASE("the end of a job is tried again while the result store is away, and only then "
          "acknowledged") {
    station here;
    here.registry.add("math.add", add);
    auto& queue = here.open();
    here.records->refusals = 3;
    auto pool = here.pool();
    const auto id = queue.enqueue("math.add", {array{1, 1}}).value();
    REQUIRE(here.records->wait([](const auto& r) { return r.refusals == 0; }));
    CHECK(queue.wait(id, soon()).value().result == value(2));
    REQUIRE(here.all_acknowledged());
    CHECK(here.records->statuses(id) == std::vector<std::string>{"SUCCESS"});
}

TEST_CASE("a pool that stops while the result store is away gives its jobs back") {
    station here;
    here.registry.add("math.add", add);
    auto& queue = here.open();
    here.records->refusals = 1'000'000;
    auto pool = here.pool();
    queue.enqueue("math.add", {array{1, 1}}).value();
    REQUIRE(here.records->wait([](const auto& r) { return r.refusals < 1'000'000; }));
    REQUIRE(here.store->remove_worker(1, "the test ends it").has_value());
    REQUIRE(here.server->wait([](const auto& s) { return s.waiting.size() == 1; }));
    CHECK(here.server->acks == 0);
    CHECK(here.server->requeues == 1);
}

TEST_CASE("an enqueue fails when the broker does not take the message, and its key is free again") {
    station here;
    here.registry.add("math.add", add);
    auto& queue = here.open();
    here.server->refuses = true;
    enqueue_options unique;
    unique.unique_key = "only-one";
    CHECK(queue.enqueue("math.add", {}, unique).error().code == errc::unavailable);
    here.server->refuses = false;
    CHECK(queue.enqueue("math.add", {}, unique));
}

TEST_CASE("a job that was acknowledged early goes back when its worker stops") {
    station here;
    job_options options;
    options.acks_late = false;
    testing::gate running;
    here.registry.add(
        "once",
        [&](job_context& context, const job_arguments&) -> value {
            running.open();
            context.wait_for(std::chrono::seconds(20));
            context.throw_if_cancelled();
            return 1;
        },
        options);
    auto& queue = here.open();
    auto pool = here.pool(1);
    const auto id = queue.enqueue("once", {}).value();
    REQUIRE(running.pass());
    CHECK(pool->stop(soon()).returned == 1);
    REQUIRE(here.server->wait([](const auto& s) { return s.waiting.size() == 1; }));
    CHECK(here.server->acks == 1);
    CHECK(here.server->waiting.front().parts.headers.find("id")->to_text() == id);
}

TEST_CASE("while the result store is away a worker takes a bounded number of further jobs") {
    station here;
    here.registry.add("math.add", add);
    auto& queue = here.open();
    here.records->refusals = INT_MAX;
    constexpr std::size_t jobs_in_all = 6'000;
    testing::journal<bool> accepted;
    for (std::size_t i = 0; i < jobs_in_all; ++i)
        queue.enqueue("math.add", {array{1}}, {},
                      [&](const auto& id) { accepted.add(id.has_value()); });
    REQUIRE(accepted.wait_count(jobs_in_all));
    auto pool = here.pool();
    const auto held = [&] {
        std::lock_guard lock(here.server->guard);
        return here.server->unacknowledged.size();
    };
    testing::poll_until([&] { return here.store->pending() >= 2'000; }, std::chrono::seconds(60));
    CHECK(here.store->pending() >= 2'000);
    CHECK(held() < 4'500);
    CHECK(here.store->pending() < 4'500);
    {
        std::lock_guard lock(here.records->guard);
        here.records->refusals = 0;
    }
    REQUIRE(here.server->wait([](const auto& s) { return s.acks == jobs_in_all; },
                              std::chrono::seconds(60)));
}

TEST_CASE("what a worker took ahead and cannot run goes to another one") {
    station busy;
    station idle(busy.server, busy.records);
    testing::gate finish;
    std::atomic<bool> slow{false};
    const auto handler = [&](job_context&, const job_arguments&) -> value {
        if (slow)
            finish.pass();
        return nullptr;
    };
    busy.registry.add("mixed", handler);
    idle.registry.add("mixed", [](job_context&, const job_arguments&) -> value { return "idle"; });
    auto& queue = busy.open();
    auto pool = busy.pool(1);
    // Short jobs first, so that many are taken ahead; then long ones.
    std::vector<std::string> ids;
    for (int i = 0; i < 200; ++i)
        ids.push_back(queue.enqueue("mixed", {}).value());
    queue.wait(ids.back(), soon()).value();
    slow = true;
    ids.clear();
    for (int i = 0; i < 20; ++i)
        ids.push_back(queue.enqueue("mixed", {}).value());
    idle.open();
    auto helper = idle.pool(1);
    int elsewhere = 0;
    for (std::size_t i = 1; i < ids.size(); ++i)
        elsewhere += queue.wait(ids[i], soon()).value().result == value("idle");
    CHECK(elsewhere == 19);
    finish.open();
}

TEST_CASE("deliveries in hand are touched, and a worker that is deaf too long says so") {
    station here;
    here.options.touch_interval = milliseconds(20);
    here.options.deaf_after = milliseconds(1'000);
    testing::gate finish;
    here.registry.add("long", [&](job_context&, const job_arguments&) -> value {
        finish.pass();
        return 1;
    });
    auto& queue = here.open();
    auto pool = here.pool();
    queue.enqueue("long", {}).value();
    CHECK(here.server->wait([](const auto& s) { return s.touched.size() == 1; }));
    CHECK(queue.ping());
    here.broker->lose_connection();
    here.broker->settle();
    CHECK(queue.ping()); // not yet
    const auto limit = soon();
    while (queue.ping() && now() < limit)
        std::this_thread::yield();
    CHECK(queue.ping().error().code == errc::unavailable);
    here.broker->reconnect();
    here.broker->settle();
    CHECK(queue.ping());
    finish.open();
}

TEST_CASE("a reply that comes while the sender ends does no harm") {
    station sender;
    sender.reply_to = "replies-of-the-sender";
    const auto one = [](job_context&, const job_arguments&) -> value { return 1; };
    sender.registry.add("short", one);
    const auto id = sender.open().enqueue("short", {}).value();
    testing::gate hears;
    sender.results->stand_still(hears);
    station other(sender.server, sender.records);
    other.registry.add("short", one);
    auto& queue = other.open();
    auto pool = other.pool();
    CHECK(queue.wait(id, soon()).value().result == value(1));
    std::thread ends([&] { sender.queue.reset(); });
    const auto is_watched = [&] {
        std::lock_guard lock(sender.records->guard);
        return std::ranges::any_of(sender.records->watches, [&](const auto& each) {
            return each.first.first == sender.results;
        });
    };
    while (is_watched())
        std::this_thread::yield();
    hears.open();
    ends.join();
}

TEST_CASE("a broker that is connected and does not answer is noticed too") {
    station here;
    here.options.deaf_after = milliseconds(300);
    here.registry.add("any", [](job_context&, const job_arguments&) -> value { return 1; });
    auto& queue = here.open();
    testing::gate goes_on;
    here.broker->stand_still(goes_on);
    auto pool = here.pool();
    const auto limit = soon();
    while (queue.ping() && now() < limit)
        std::this_thread::yield();
    CHECK(queue.ping().error().message.find("does not answer") != std::string::npos);
    goes_on.open();
    here.broker->settle();
    CHECK(queue.ping());
}

TEST_CASE("a pool that stops leaves nothing unacknowledged behind") {
    station here;
    testing::gate running;
    here.registry.add("long", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        context.wait_for(std::chrono::seconds(20));
        context.throw_if_cancelled();
        return nullptr;
    });
    auto& queue = here.open();
    for (int i = 0; i < 4; ++i)
        queue.enqueue("long", {}).value();
    enqueue_options later;
    later.countdown = std::chrono::minutes(5);
    queue.enqueue("long", {}, later).value();
    auto pool = here.pool(1);
    REQUIRE(running.pass());
    const auto report = pool->stop(soon());
    CHECK(report.clean());
    CHECK(report.finished == 0);
    REQUIRE(here.server->wait(
        [](const auto& s) { return s.unacknowledged.empty() && s.waiting.size() == 5; }));
    CHECK(here.server->acks == 0);
    CHECK(queue.workers().value().empty());
}

} // namespace carillon
