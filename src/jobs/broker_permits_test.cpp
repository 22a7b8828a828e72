// Concurrency limits and losses over brokers: the ledgers, and the store that asks them.
#include <atomic>

#include <doctest/doctest.h>

#include "base/test_polling.hpp"
#include "jobs/broker/concurrency_lanes.hpp"
#include "jobs/broker/ledger.hpp"
#include "jobs/broker/test_redis_broker.hpp"
#include "jobs/open_store.hpp"
#include "jobs/test_station.hpp"

namespace carillon {

namespace celery = wire::celery;
using namespace std::chrono_literals;
using net::redis::test::no_redis;
using std::chrono::milliseconds;
using testing::soon;
using testing::station;

namespace {

std::unique_ptr<jobs::ledger> redis_ledger(const std::string& url, milliseconds life = 15s) {
    static metrics counted;
    jobs::ledger_options options;
    options.url = url;
    options.keyprefix = "test:";
    options.place_life = life;
    return jobs::make_redis_ledger(options, silent_log(), counted).value();
}

jobs::run_permit ask(jobs::ledger& of, const jobs::run_request& what) {
    std::promise<result<jobs::run_permit>> told;
    of.ask(what, [&](const auto& answer) { told.set_value(answer); });
    return told.get_future().get().value();
}

void check_places(jobs::ledger& one, jobs::ledger& other) {
    const jobs::run_request a{"a", {{"k", 2}}, {}}, b{"b", {{"k", 2}, {"q", 1}}, {}},
        c{"c", {{"q", 1}, {"k", 2}}, {}}, d{"d", {{"k", 3}}, {}};
    CHECK(ask(one, a).given);
    CHECK(ask(one, a).given); // again: the answer may have been lost
    CHECK(ask(other, b).given);
    CHECK_FALSE(ask(one, c).given);
    CHECK(ask(one, d).given); // its limit is larger
    one.leave(d, true);
    one.leave(a, true);
    CHECK_FALSE(ask(one, c).given); // all places or none: `q` is b's
    CHECK(ask(one, a).given);
    other.leave(b, true);
    CHECK(ask(other, c).given);
}

enqueue_options keyed(const char* key, std::uint32_t max = 1) {
    enqueue_options options;
    options.concurrency_key = key;
    options.concurrency_max = max;
    return options;
}

// A process with jobs that count how many of them run at once.
struct plant {
    job_registry registry;
    std::unique_ptr<job_queue> queue;
    std::unique_ptr<worker_pool> pool;

    void open(const std::string& url, std::atomic<int>& inside, std::atomic<int>& peak,
              std::map<std::string, std::uint32_t> limits = {}) {
        registry.add("limited", [&](job_context& context, const job_arguments& a) -> value {
            const auto n = ++inside;
            for (auto seen = peak.load(); n > seen && !peak.compare_exchange_weak(seen, n);) {
            }
            // The first ones stay until there are as many as may be.
            while (peak < a.get(0, "reach").to_int() && context.wait_for(1ms)) {
            }
            context.wait_for(2ms);
            --inside;
            return nullptr;
        });
        job_queue_options options;
        options.broker = url;
        options.queue_limits = std::move(limits);
        queue = job_queue::open(options, {registry}).value();
    }
    void work() {
        worker_options options;
        options.threads = 3;
        pool = worker_pool::start(*queue, options).value();
    }
};

} // namespace

TEST_CASE("a ledger gives all places of a request or none, and each holder one") {
    auto local = jobs::make_local_ledger();
    check_places(*local, *local);
    CHECK_FALSE(local->counts_losses());
    if (no_redis())
        return;
    net::redis::test::server redis;
    auto one = redis_ledger(redis.url()), other = redis_ledger(redis.url());
    check_places(*one, *other);
    CHECK(one->counts_losses());
}

TEST_CASE("of those who wait for the same place one asks, and the longer the more seldom") {
    jobs::concurrency_lanes lanes;
    CHECK_FALSE(lanes.join("a", 1)); // it asks
    CHECK(lanes.join("a", 2));
    CHECK(lanes.join("a", 3));
    CHECK_FALSE(lanes.join("b", 4));
    CHECK(lanes.size() == 2);
    CHECK(lanes.due(now() + 1h).empty()); // both are asking
    lanes.refused("a", 1);
    CHECK(lanes.size() == 3);
    CHECK(lanes.due(now()).empty());
    const auto first = *lanes.next() - now();
    CHECK(lanes.due(now() + 1h) == std::vector<std::int64_t>{1});
    lanes.refused("a", 1);
    CHECK(*lanes.next() - now() > first);
    CHECK_FALSE(lanes.hurry([](const std::string& name) { return name == "b"; }));
    CHECK(lanes.hurry([](const std::string& name) { return name == "a"; }));
    CHECK(lanes.due(now()) == std::vector<std::int64_t>{1});
    CHECK(lanes.given("a") == 2);
    CHECK(lanes.given("b") == 0);
    CHECK(lanes.join("a", 5));
    CHECK(lanes.join("a", 6));
    CHECK(lanes.halve("a") == std::vector<std::int64_t>{6, 5});
    CHECK_FALSE(lanes.remove("a", 2)); // it asked
    CHECK(lanes.remove("a", 3));
    CHECK(lanes.size() == 0);
    CHECK_FALSE(lanes.next());
}

TEST_CASE("a place in Redis is free again when nobody keeps it for the span of its lease") {
    if (no_redis())
        return;
    net::redis::test::server redis;
    auto kept = redis_ledger(redis.url(), 400ms), other = redis_ledger(redis.url(), 400ms);
    const jobs::run_request a{"a", {{"k", 1}}, {}}, b{"b", {{"k", 1}}, {}};
    CHECK(ask(*kept, a).given);
    for (int i = 0; i < 12; ++i) {
        kept->keep({a});
        CHECK_FALSE(ask(*other, b).given);
        testing::elapse(50ms); // leases pass with time alone
    }
    const auto since = now();
    testing::poll_until([&] { return ask(*other, b).given; }, 10s);
    CHECK(now() - since < 2s);
    CHECK(now() - since > 100ms);
}

TEST_CASE("a ledger in Redis knows how many runs of a job began and never ended") {
    if (no_redis())
        return;
    net::redis::test::server redis;
    auto of = redis_ledger(redis.url());
    const jobs::run_request first{"a", {}, "job"}, second{"b", {}, "job"}, third{"c", {}, "job"};
    CHECK(ask(*of, first).losses == 0);
    CHECK(ask(*of, first).losses == 0); // the same run
    CHECK(ask(*of, second).losses == 1);
    of->leave(second, false); // it was given back: not lost
    CHECK(ask(*of, third).losses == 1);
    of->leave(third, true); // the job has ended
    CHECK(ask(*of, second).losses == 0);
}

TEST_CASE("over Redis jobs with one key run no more at once than their limit, over two workers") {
    if (no_redis())
        return;
    net::redis::test::server redis;
    for (const int limit : {1, 2}) {
        for (const bool by_queue : {false, true}) {
            CAPTURE(limit);
            CAPTURE(by_queue);
            std::atomic<int> inside{0}, peak{0};
            const auto places = static_cast<std::uint32_t>(limit);
            std::map<std::string, std::uint32_t> limits;
            if (by_queue)
                limits["celery"] = places;
            plant one, other;
            one.open(redis.url(), inside, peak, limits);
            other.open(redis.url(), inside, peak, limits);
            std::vector<std::string> ids;
            for (int i = 0; i < 40; ++i)
                ids.push_back(one.queue
                                  ->enqueue("limited", {array{limit}},
                                            by_queue ? enqueue_options() : keyed("k", places))
                                  .value());
            one.work();
            other.work();
            for (const auto& id : ids)
                CHECK(one.queue->wait(id, soon()).value().state == job_state::completed);
            CHECK(peak == limit);
        }
    }
}

TEST_CASE("over a broker a job that waits for a place holds no thread and stops nobody") {
    station here;
    testing::gate finish;
    here.registry.add("held", [&](job_context&, const job_arguments&) -> value {
        finish.pass();
        return nullptr;
    });
    here.registry.add("free", [](job_context&, const job_arguments&) -> value { return 1; });
    here.options.limited_max = 50;
    auto& queue = here.open();
    std::vector<std::string> held;
    for (int i = 0; i < 80; ++i)
        held.push_back(queue.enqueue("held", {}, keyed("k")).value());
    const auto free = queue.enqueue("free", {}).value();
    auto pool = here.pool(2);
    CHECK(queue.wait(free, soon()).value().state == job_state::completed);
    // More than may wait here: the broker's store has them, each for another while.
    REQUIRE(here.server->wait([](const auto& s) { return s.delayed.size() >= 28; }));
    CHECK(here.server->delayed.front().first < utc_now() + 2s);
    CHECK(queue.cancel(held[1]).value());
    const auto cancelled = [&] { return here.records->last(held[1]).status; };
    CHECK(cancelled() == celery::state::revoked);
    finish.open();
    for (int i = 2; i < 40; ++i)
        CHECK(queue.wait(held[static_cast<std::size_t>(i)], soon()).value().state ==
              job_state::completed);
    CHECK(pool->stop(soon()).clean());
    REQUIRE(here.server->wait([](const auto& s) { return s.unacknowledged.empty(); }));
}

TEST_CASE("over a broker a job that waits too long for a place goes to the broker's store") {
    station here;
    testing::gate finish;
    here.registry.add("held", [&](job_context&, const job_arguments&) -> value {
        finish.pass();
        return nullptr;
    });
    here.options.hold_max = std::chrono::minutes(0);
    auto& queue = here.open();
    queue.enqueue("held", {}, keyed("k")).value();
    queue.enqueue("held", {}, keyed("k")).value();
    auto pool = here.pool(2);
    CHECK(here.server->wait([](const auto& s) { return s.delayed.size() == 1; }));
    finish.open();
}

TEST_CASE("what waits for a place while all threads here are busy goes to who can use it") {
    if (no_redis())
        return;
    net::redis::test::server redis;
    auto holder = redis_ledger(redis.url());
    const jobs::run_request place{"somebody", {{"key:k", 1}}, {}};
    REQUIRE(ask(*holder, place).given);
    station busy;
    station idle(busy.server, busy.records);
    testing::gate finish;
    testing::journal<bool> began;
    for (auto* each : {&busy, &idle}) {
        each->permits = redis_ledger(redis.url());
        each->registry.add("limited",
                           [](job_context&, const job_arguments&) -> value { return 1; });
        each->registry.add("long", [&](job_context&, const job_arguments&) -> value {
            began.add(true);
            finish.pass();
            return 1;
        });
    }
    auto& queue = busy.open();
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i)
        ids.push_back(queue.enqueue("limited", {}, keyed("k")).value());
    auto pool = busy.pool(2);
    for (int i = 0; i < 2; ++i)
        queue.enqueue("long", {}).value();
    REQUIRE(began.wait_count(2));
    idle.open();
    auto helper = idle.pool(1);
    holder->leave(place, true);
    for (const auto& id : ids)
        CHECK(queue.wait(id, soon()).value().state == job_state::completed);
    finish.open();
}

TEST_CASE("a pool that stops gives back what waits for a place, and leaves its own") {
    if (no_redis())
        return;
    net::redis::test::server redis;
    station here;
    here.permits = redis_ledger(redis.url());
    testing::gate running;
    here.registry.add("held", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        context.wait_for(20s);
        context.throw_if_cancelled();
        return nullptr;
    });
    auto& queue = here.open();
    for (int i = 0; i < 5; ++i)
        queue.enqueue("held", {}, keyed("k")).value();
    auto pool = here.pool(2);
    REQUIRE(running.pass());
    CHECK(pool->stop(soon()).clean());
    REQUIRE(here.server->wait(
        [](const auto& s) { return s.unacknowledged.empty() && s.waiting.size() == 5; }));
    auto other = redis_ledger(redis.url());
    const auto since = now();
    while (!ask(*other, {"a", {{"key:k", 1}}, {}}).given && now() - since < 5s)
        std::this_thread::yield();
    CHECK(now() - since < 5s); // its lease would last 15 s
}

TEST_CASE("over a broker the place of a worker that was killed is taken after its lease") {
    if (no_redis())
        return;
    net::redis::test::server redis;
    {
        auto killed = redis_ledger(redis.url(), 700ms);
        REQUIRE(ask(*killed, {"killed", {{"key:k", 1}}, {}}).given);
    }
    station here;
    here.options.place_life = 700ms;
    here.permits = redis_ledger(redis.url(), 700ms);
    here.registry.add("limited", [](job_context& context, const job_arguments&) -> value {
        context.wait_for(1'500ms); // longer than the lease, which is kept
        return nullptr;
    });
    auto& queue = here.open();
    const auto begun = now();
    auto pool = here.pool(2);
    const auto id = queue.enqueue("limited", {}, keyed("k")).value();
    testing::elapse(1'600ms); // in the middle of the run
    auto other = redis_ledger(redis.url(), 700ms);
    CHECK_FALSE(ask(*other, {"other", {{"key:k", 1}}, {}}).given);
    CHECK(queue.wait(id, soon()).value().state == job_state::completed);
    CHECK(now() - begun > 2'000ms);
}

TEST_CASE("over a broker a job that killed its workers too often ends with that as its error") {
    station here;
    std::atomic<int> runs{0};
    job_options options;
    options.losses_max = 2;
    here.registry.add(
        "deadly", [&](job_context&, const job_arguments&) -> value { return ++runs; }, options);
    celery::message m;
    m.task = "deadly";
    SUBCASE("as a ledger in Redis has counted") {
        if (no_redis())
            return;
        net::redis::test::server redis;
        auto killed = redis_ledger(redis.url());
        for (const char* worker : {"a", "b"})
            REQUIRE(ask(*killed, {worker, {}, "lost"}).given);
        REQUIRE(ask(*killed, {"a", {}, "saved"}).given);
        here.permits = redis_ledger(redis.url());
        here.open();
        auto pool = here.pool();
        m.id = "saved";
        here.put(m, true);
        m.id = "fresh";
        here.put(m);
        m.id = "lost";
        here.put(m, true);
        REQUIRE(here.server->wait([](const auto& s) { return s.acks == 3; }));
        CHECK(here.records->last("saved").status == celery::state::success);
        CHECK(here.records->last("fresh").status == celery::state::success);
        CHECK(runs == 2);
        const auto limit = soon();
        while (here.metric("carillon_jobs_lost_total") < 2 && now() < limit)
            std::this_thread::yield(); // the keeper counts from time to time
        CHECK(here.metric("carillon_jobs_lost_total") == 2);
    }
    SUBCASE("as a quorum queue has counted, whose every return is not a death") {
        here.open();
        auto pool = here.pool();
        m.id = "returned";
        m.extra.set("x-delivery-count", std::int64_t{15});
        here.put(m, true);
        m.id = "lost";
        m.extra.set("x-delivery-count", std::int64_t{16});
        here.put(m, true);
        REQUIRE(here.server->wait([](const auto& s) { return s.acks == 2; }));
        CHECK(here.records->last("returned").status == celery::state::success);
        CHECK(runs == 1);
    }
    const auto end = here.records->last("lost");
    CHECK(end.status == celery::state::failure);
    CHECK(end.outcome["exc_type"] == value("WorkerLostError"));
}

} // namespace carillon
