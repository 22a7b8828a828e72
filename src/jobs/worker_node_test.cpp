#include "jobs/worker_node.hpp"

#include <atomic>

#include <doctest/doctest.h>

#include "jobs/test_plant.hpp"

namespace carillon {

namespace celery = wire::celery;
using testing::plant;
using testing::soon;

TEST_CASE("remote control sees what a pool runs") {
    testing::gate running, finish;
    plant p;
    p.registry.add("long", [&](job_context&, const job_arguments&) -> value {
        running.open();
        finish.pass();
        return 1;
    });
    p.open(1);
    const auto id = p.queue->enqueue("long", {array{7}}).value();
    REQUIRE(running.pass());
    const auto active = p.ask("active");
    REQUIRE(active.if_array()->size() == 1);
    const auto shown = celery::read_request_info(active.if_array()->front()).value();
    CHECK(shown.id == id);
    CHECK(shown.name == "long");
    CHECK(shown.args == value(array{7}));
    CHECK(shown.time_start.has_value());
    CHECK(p.ask("registered") == value(array{"long"}));
    const auto queues = p.ask("active_queues");
    REQUIRE(queues.if_array()->size() == 1);
    CHECK(celery::read_queue_info(queues.if_array()->front()).value().name == "celery");
    const auto stats = celery::read_worker_stats(p.ask("stats")).value();
    CHECK(stats.concurrency == 1);
    CHECK(stats.total == object{{"long", 1}});
    finish.open();
    CHECK(p.queue->wait(id, soon()).value().state == job_state::completed);
}

TEST_CASE("a rate limit that is set by remote control holds jobs, which can be seen, revoked and "
          "let go") {
    std::atomic<int> runs{0};
    plant p;
    p.registry.add("limited", [&](job_context&, const job_arguments&) -> value { return ++runs; });
    p.registry.add("free", [](job_context&, const job_arguments&) -> value { return "free"; });
    p.open(1);
    CHECK(p.ask("rate_limit", {{"task_name", "limited"}, {"rate_limit", "2/m"}})["ok"].to_text() ==
          "new rate limit set successfully");
    CHECK(p.ask("registered") == value(array{"free", "limited [rate_limit=2/m]"}));
    CHECK(p.ask("rate_limit", {{"task_name", "none"}, {"rate_limit", "2/m"}})["error"].to_text() ==
          "unknown task");
    CHECK(p.ask("rate_limit", {{"task_name", "limited"}, {"rate_limit", "2/d"}})["error"]
              .to_text()
              .starts_with("Invalid rate limit string"));
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i)
        ids.push_back(p.queue->enqueue("limited", {}).value());
    CHECK(p.queue->wait(ids[0], soon()).value().state == job_state::completed);
    CHECK(p.queue->wait(p.queue->enqueue("free", {}).value(), soon()).value().result ==
          value("free"));
    CHECK(p.ask("reserved").if_array()->size() == 2);
    CHECK(p.ask("query_task", {{"ids", array{ids[1]}}})[ids[1]].if_array()->front() ==
          value("reserved"));
    p.ask("revoke", {{"task_id", ids[1]}});
    CHECK(p.queue->wait(ids[1], soon()).value().state == job_state::cancelled);
    CHECK(runs == 1);
    CHECK(p.ask("rate_limit", {{"task_name", "limited"}, {"rate_limit", 0}})["ok"].to_text() ==
          "rate limit disabled successfully");
    CHECK(p.queue->wait(ids[2], soon()).value().state == job_state::completed);
    // What would wait for long is for the broker's store.
    p.ask("rate_limit", {{"task_name", "limited"}, {"rate_limit", "1/h"}});
    CHECK(p.queue->wait(p.queue->enqueue("limited", {}).value(), soon()).value().state ==
          job_state::completed);
    p.queue->enqueue("limited", {}).value();
    CHECK(p.server->wait([](const auto& s) { return s.delayed.size() == 1; }));
    CHECK(p.server->wait([](const auto& s) { return s.unacknowledged.empty(); }));
    CHECK(p.ask("reserved").if_array()->empty());
}

TEST_CASE("time limits that are set by remote control hold for the runs that begin afterwards") {
    plant p;
    job_options once;
    once.attempts_max = 1;
    once.soft_time_limit = std::chrono::hours(1);
    p.registry.add(
        "endless",
        [](job_context& context, const job_arguments&) -> value {
            while (context.wait_for(std::chrono::seconds(20))) {
            }
            context.throw_if_cancelled();
            return nullptr;
        },
        once);
    p.open(1);
    CHECK(p.ask("time_limit", {{"task_name", "endless"}, {"soft", 0.1}, {"hard", 100}})["ok"]
              .to_text() == "time limits set successfully");
    CHECK(p.ask("time_limit", {{"task_name", "none"}, {"soft", 1}})["error"].to_text() ==
          "unknown task");
    CHECK(p.ask("time_limit", {{"task_name", "endless"}, {"soft", -1}})["error"].is_string());
    CHECK(p.ask("time_limit", {{"task_name", "endless"}, {"soft", "1"}})["error"].is_string());
    CHECK(p.queue->wait(p.queue->enqueue("endless", {}).value(), soon()).value().error ==
          "SoftTimeLimitExceeded: (0.1,)");
    // What a message says for itself counts more.
    CHECK(p.ask("time_limit", {{"task_name", "endless"}, {"soft", 100}})["ok"].is_string());
    enqueue_options own;
    own.soft_time_limit = std::chrono::milliseconds(50);
    CHECK(p.queue->wait(p.queue->enqueue("endless", {}, own).value(), soon()).value().error ==
          "SoftTimeLimitExceeded: (0.05,)");
}

TEST_CASE("queues are added and taken away, also across a reconnect") {
    plant p;
    p.registry.add("add", [](job_context&, const job_arguments& a) -> value {
        return a.get(0, "a").to_int() + 1;
    });
    p.open(1);
    enqueue_options to_other;
    to_other.queue = "other";
    const auto result_of = [&](std::int64_t number) {
        const auto id = p.queue->enqueue("add", {array{number}}, to_other).value();
        return p.queue->wait(id, soon()).value().result;
    };
    CHECK(p.ask("add_consumer", {{"queue", "other"}, {"exchange", "x"}})["error"].is_string());
    CHECK(p.ask("add_consumer", {{"queue", std::string(300, 'q')}})["error"].is_string());
    CHECK(
        p.ask("add_consumer", {{"queue", "other"}, {"exchange_type", "direct"}})["ok"].to_text() ==
        "add consumer other");
    CHECK(result_of(1) == value(2));
    CHECK(p.ask("active_queues").if_array()->size() == 2);
    auto& through = dynamic_cast<testing::loopback_broker&>(p.store->through());
    through.lose_connection();
    through.reconnect();
    CHECK(result_of(2) == value(3));
    CHECK(p.ask("cancel_consumer", {{"queue", "other"}})["ok"].to_text() ==
          "no longer consuming from other");
    CHECK(p.ask("cancel_consumer", {{"queue", "other"}})["ok"].is_string());
    CHECK(p.ask("active_queues").if_array()->size() == 1);
    through.lose_connection();
    through.reconnect();
    const auto waits = p.queue->enqueue("add", {array{3}}, to_other).value();
    through.settle();
    CHECK(p.server->wait([](const auto& s) { return s.waiting.size() == 1; }));
    // without any queue the worker stays, and can be given one
    CHECK(p.ask("cancel_consumer", {{"queue", "celery"}})["ok"].is_string());
    CHECK(p.ask("add_consumer", {{"queue", "other"}})["ok"].is_string());
    CHECK(p.queue->wait(waits, soon()).value().result == value(4));
}

TEST_CASE("a revocation with termination stops a running job") {
    testing::gate running;
    plant p;
    p.registry.add("endless", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        while (context.wait_for(std::chrono::seconds(20))) {
        }
        context.throw_if_cancelled();
        return nullptr;
    });
    p.open(1);
    const auto id = p.queue->enqueue("endless", {}).value();
    REQUIRE(running.pass());
    p.ask("revoke", {{"task_id", id}, {"terminate", true}});
    CHECK(p.queue->wait(id, soon()).value().state == job_state::cancelled);
}

TEST_CASE("a pool grows and shrinks while it works, and loses no job") {
    std::atomic<int> present{0};
    testing::gate finish;
    plant p;
    p.registry.add("meet", [&](job_context&, const job_arguments&) -> value {
        ++present;
        finish.pass();
        --present;
        return nullptr;
    });
    p.registry.add("short", [](job_context&, const job_arguments&) -> value { return nullptr; });
    p.open(1);
    CHECK(p.ask("pool_grow", {{"n", 3}})["ok"].is_string());
    std::vector<std::string> ids;
    for (int i = 0; i < 4; ++i)
        ids.push_back(p.queue->enqueue("meet", {}).value());
    const auto limit = soon();
    while (present < 4 && now() < limit)
        std::this_thread::yield();
    CHECK(present == 4);
    CHECK(p.ask("pool_shrink", {{"n", 4}})["error"].is_string());
    CHECK(p.ask("pool_shrink", {{"n", 3}})["ok"].is_string()); // three are busy and leave later
    CHECK(p.ask("pool_grow", {{"n", 1}})["ok"].is_string());   // one of them stays
    finish.open();
    for (const auto& id : ids)
        CHECK(p.queue->wait(id, soon()).value().state == job_state::completed);
    for (int round = 0; round < 20; ++round) {
        ids.clear();
        for (int i = 0; i < 20; ++i)
            ids.push_back(p.queue->enqueue("short", {}).value());
        CHECK(p.ask(round % 2 ? "pool_shrink" : "pool_grow", {{"n", 2}})["ok"].is_string());
        for (const auto& id : ids)
            CHECK(p.queue->wait(id, soon()).value().state == job_state::completed);
    }
    CHECK(celery::read_worker_stats(p.ask("stats")).value().concurrency == 2);
    CHECK(p.pool->stop(soon()).clean());
    CHECK(p.pool->active() == 0);
    p.node.reset();
    p.pool.reset();
}

TEST_CASE("task events are told only while somebody wants them") {
    plant p;
    job_options once;
    once.attempts_max = 1;
    p.registry.add("good", [](job_context&, const job_arguments&) -> value { return 1; });
    p.registry.add(
        "bad", [](job_context&, const job_arguments&) -> value { throw std::runtime_error("x"); },
        once);
    p.open(1);
    p.queue->wait(p.queue->enqueue("good", {}).value(), soon()).value();
    p.ask("enable_events");
    p.queue->wait(p.queue->enqueue("good", {}).value(), soon()).value();
    p.queue->wait(p.queue->enqueue("bad", {}).value(), soon()).value();
    REQUIRE(p.server->wait([](const auto& s) { return plant::task_events(s).size() >= 6; }));
    std::lock_guard lock(p.server->guard);
    CHECK(plant::task_events(*p.server) ==
          std::vector<std::string>{"task-received", "task-started", "task-succeeded",
                                   "task-received", "task-started", "task-failed"});
}

TEST_CASE("who may end on request is asked to") {
    testing::gate asked;
    plant p;
    jobs::worker_node_options options;
    options.shutdown = [&] { asked.open(); };
    p.open(1, std::move(options));
    celery::control_request request;
    request.method = "shutdown";
    p.store->through().emit(std::string(celery::pidbox_exchange), {},
                            celery::encode_request(request));
    CHECK(asked.pass());
}

TEST_CASE("a pool on the embedded queue is no node") {
    testing::temporary_folder place;
    job_registry registry;
    metrics counted;
    job_queue_options options;
    options.data_dir = place.path();
    auto queue = job_queue::open(options, {registry}).value();
    auto pool = worker_pool::start(*queue, {}).value();
    CHECK_FALSE(jobs::worker_node::attach(*queue, *pool, {}, silent_log(), counted));
}

} // namespace carillon
