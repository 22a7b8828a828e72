// Rate limits of tasks, and pools that are told to quit.
#include <thread>

#include <doctest/doctest.h>

#include "jobs/test_plant.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::journal;
using testing::plant;
using testing::soon;
using testing::workshop;

TEST_CASE("jobs above the rate limit of their task begin in turn and hold no thread meanwhile") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    journal<steady_time> begun;
    job_options paced;
    paced.rate_limit = "5/s";
    shop.registry.add(
        "paced",
        [&](job_context&, const job_arguments&) -> value {
            begun.add(now());
            return nullptr;
        },
        paced);
    shop.registry.add("free", [&](job_context&, const job_arguments&) -> value {
        return static_cast<std::int64_t>(begun.all().size());
    });
    auto& queue = shop.open();
    std::vector<std::string> ids;
    for (int i = 0; i < 4; ++i)
        ids.push_back(queue.enqueue("paced", {}).value());
    const auto free = queue.enqueue("free", {}).value();
    auto pool = shop.pool(1);
    CHECK(queue.wait(free, soon()).value().result.to_int(9) < 4);
    for (const auto& id : ids)
        CHECK(queue.wait(id, soon()).value().attempts == 1);
    const auto all = begun.all();
    REQUIRE(all.size() == 4);
    // A token is taken a little before its job begins.
    for (std::size_t i = 1; i < all.size(); ++i)
        CHECK(all[i] - all[0] > milliseconds(200) * i - milliseconds(100));
}

TEST_CASE("what waits for long is in the queue, for any worker, and no attempt was counted") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    job_options rare;
    rare.rate_limit = "1/m";
    shop.registry.add(
        "rare", [](job_context&, const job_arguments&) -> value { return nullptr; }, rare);
    auto& queue = shop.open();
    const auto first = queue.enqueue("rare", {}).value();
    auto pool = shop.pool(1);
    CHECK(queue.wait(first, soon()).value().state == job_state::completed);
    const auto second = queue.enqueue("rare", {}).value();
    std::optional<job_record> seen;
    for (const auto limit = soon(); now() < limit;) {
        seen = queue.get(second).value();
        if (seen->eta)
            break;
        std::this_thread::yield();
    }
    CHECK(seen->state == job_state::waiting);
    CHECK(seen->attempts == 0);
    REQUIRE(seen->eta);
    CHECK(*seen->eta > utc_now() + std::chrono::seconds(30));
    CHECK(shop.metric("carillon_jobs_rate_limited_total") == 1);
    CHECK(pool->stop(soon()).clean());
    CHECK(queue.workers().value().empty());
}

TEST_CASE("a pool does not start with a rate limit that cannot be read") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    job_options wrong;
    wrong.rate_limit = "10/d";
    shop.registry.add(
        "wrong", [](job_context&, const job_arguments&) -> value { return nullptr; }, wrong);
    const auto refused = worker_pool::start(shop.open(), {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::invalid);
    CHECK(refused.error().message == "the rate limit `10/d` of the task `wrong`: a rate is a "
                                     "number, or a number and /s, /m or /h");
}

TEST_CASE("a pool that quits hands back what runs, whatever its handlers do") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate deaf_runs, polite_runs, finish;
    shop.registry.add("deaf", [&](job_context&, const job_arguments&) -> value {
        deaf_runs.open();
        finish.pass();
        return "too late";
    });
    shop.registry.add("polite", [&](job_context& context, const job_arguments&) -> value {
        polite_runs.open();
        context.wait_for(std::chrono::seconds(20));
        context.throw_if_cancelled();
        return nullptr;
    });
    auto& queue = shop.open();
    auto pool = shop.pool(2);
    const auto deaf = queue.enqueue("deaf", {}).value();
    const auto polite = queue.enqueue("polite", {}).value();
    REQUIRE(deaf_runs.pass());
    REQUIRE(polite_runs.pass());
    const auto waiting = queue.enqueue("polite", {}).value();
    const auto report = pool->quit(now() + milliseconds(50));
    CHECK(report.abandoned == 1);
    CHECK(report.returned >= 2);
    CHECK(report.finished == 0);
    const auto check_all_wait = [&] {
        for (const auto& id : {deaf, polite, waiting}) {
            const auto record = queue.get(id).value().value();
            CHECK(record.state == job_state::waiting);
            CHECK(record.attempts == 0);
            CHECK(record.losses == 0);
        }
    };
    check_all_wait();
    CHECK(queue.workers().value().empty());
    finish.open();
    pool.reset();
    check_all_wait();
}

TEST_CASE("a pool that stops with much grace can be told to quit meanwhile") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate running, finish;
    shop.registry.add("deaf", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        finish.pass();
        return static_cast<std::int64_t>(context.stopping() == stop_reason::shutdown);
    });
    auto& queue = shop.open();
    auto pool = shop.pool(1);
    const auto id = queue.enqueue("deaf", {}).value();
    REQUIRE(running.pass());
    std::thread stops([&] { CHECK(pool->stop(soon(), soon()).clean()); });
    CHECK(pool->quit(now() + milliseconds(50)).abandoned == 1);
    CHECK(queue.get(id).value()->state == job_state::waiting);
    finish.open();
    stops.join();
    pool.reset();
    CHECK(queue.get(id).value()->state == job_state::waiting);
}

TEST_CASE("on a broker what was acknowledged late goes back, what was acknowledged early is lost") {
    testing::gate early_runs, late_runs, finish;
    plant p;
    job_options early;
    early.acks_late = false;
    p.registry.add(
        "early",
        [&](job_context&, const job_arguments&) -> value {
            early_runs.open();
            finish.pass();
            return nullptr;
        },
        early);
    p.registry.add("late", [&](job_context&, const job_arguments&) -> value {
        late_runs.open();
        finish.pass();
        return nullptr;
    });
    p.open(2);
    p.queue->enqueue("early", {}).value();
    const auto late = p.queue->enqueue("late", {}).value();
    REQUIRE(early_runs.pass());
    REQUIRE(late_runs.pass());
    const auto report = p.pool->quit(now() + milliseconds(50));
    CHECK(report.abandoned == 2);
    CHECK(report.returned == 1);
    CHECK(report.finished == 0);
    {
        std::lock_guard lock(p.server->guard);
        CHECK(p.server->unacknowledged.empty());
        REQUIRE(p.server->waiting.size() == 1);
        const auto& back = p.server->waiting.front();
        CHECK(back.redelivered);
        CHECK(wire::celery::decode(back.parts.headers, back.parts.properties, back.parts.body)
                  .value()
                  .id == late);
    }
    finish.open();
}

} // namespace carillon
