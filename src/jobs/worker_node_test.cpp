#include "jobs/worker_node.hpp"

#include <atomic>

#include <doctest/doctest.h>

#include "jobs/broker/loopback.hpp"
#include "jobs/broker_store.hpp"
#include "jobs/queue_core.hpp"
#include "jobs/test_support.hpp"
#include "wire/celery/control.hpp"
#include "wire/celery/events.hpp"

namespace carillon {

namespace celery = wire::celery;
using testing::soon;

namespace {

// A worker process on a broker inside this process.
struct plant {
    std::shared_ptr<testing::loopback_server> server = std::make_shared<testing::loopback_server>();
    job_registry registry;
    metrics counted;
    jobs::broker_store* store = nullptr;
    std::unique_ptr<job_queue> queue;
    std::unique_ptr<worker_pool> pool;
    std::unique_ptr<jobs::worker_node> node;
    int asked = 0;

    ~plant() {
        if (pool)
            pool->stop(soon());
        node.reset();
    }
    void open(std::uint32_t threads, jobs::worker_node_options options = {}) {
        auto made = std::make_shared<jobs::broker_store>(
            jobs::broker_store_options{}, std::make_unique<testing::loopback_broker>(server),
            std::make_unique<testing::loopback_results>(
                std::make_shared<testing::loopback_records>(), ""),
            registry, silent_log(), counted);
        store = made.get();
        job_queue_options of_queue;
        of_queue.broker = "loopback:";
        queue = job_queue::over(
            std::make_shared<jobs::queue_core>(of_queue, job_services{registry}, std::move(made)));
        worker_options of_pool;
        of_pool.name = "plant@here";
        of_pool.threads = threads;
        pool = worker_pool::start(*queue, of_pool).value();
        node = jobs::worker_node::attach(*queue, *pool, std::move(options), silent_log(), counted);
        REQUIRE(node);
    }
    // What the node answers to a command.
    value ask(std::string method, object arguments = {}) {
        celery::control_request request;
        request.method = std::move(method);
        request.arguments = std::move(arguments);
        request.ticket = "ticket-" + std::to_string(++asked);
        request.reply_exchange = celery::pidbox_reply_exchange;
        request.reply_routing_key = "replies";
        const auto ticket = request.ticket;
        store->through().emit(std::string(celery::pidbox_exchange), {},
                              celery::encode_request(request));
        value content;
        const bool answered = server->wait([&](const auto& s) {
            for (const auto& [exchange, parts] : s.emitted) {
                if (exchange != celery::pidbox_reply_exchange)
                    continue;
                const auto reply = celery::decode_reply(parts);
                if (!reply || reply->ticket != ticket)
                    continue;
                CHECK(reply->node == "plant@here");
                content = reply->content;
                return true;
            }
            return false;
        });
        REQUIRE(answered);
        return content;
    }
    // The types of the events that were told so far, those of workers left out.
    static std::vector<std::string> task_events(const testing::loopback_server& s) {
        std::vector<std::string> types;
        for (const auto& [exchange, parts] : s.emitted)
            if (exchange == celery::event_exchange)
                for (const auto& each : celery::decode_events(parts).value())
                    if (each.type.starts_with("task-"))
                        types.push_back(each.type);
        return types;
    }
};

} // namespace

TEST_CASE("remote control sees what a pool runs, and is told what it cannot do") {
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
    CHECK(p.ask("rate_limit", {{"task_name", "long"}, {"rate_limit", "1/s"}})["error"].is_string());
    CHECK(p.ask("add_consumer", {{"queue", "other"}})["error"].is_string());
    finish.open();
    CHECK(p.queue->wait(id, soon()).value().state == job_state::completed);
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
