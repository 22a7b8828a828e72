// The job queue over a real RabbitMQ and a real Redis: what a user of job_queue and worker_pool gets there.
#include <atomic>
#include <map>

#include <doctest/doctest.h>

#include "base/test_polling.hpp"
#include "jobs/broker/test_rabbitmq.hpp"
#include "jobs/open_store.hpp"
#include "jobs/test_process.hpp"
#include "jobs/test_support.hpp"
#include "net/redis/test_redis.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::soon;

namespace {

struct process_on_broker {
    job_registry registry;
    metrics counted;
    std::unique_ptr<job_queue> queue;

    job_queue& open(const std::string& broker, const std::string& results = {}) {
        job_queue_options options;
        options.broker = broker;
        options.results = results;
        job_services services{registry};
        services.counters = &counted;
        queue = job_queue::open(options, services).value();
        return *queue;
    }
    std::unique_ptr<worker_pool> pool(std::uint32_t threads = 2) {
        worker_options options;
        options.threads = threads;
        return worker_pool::start(*queue, options).value();
    }
};

void add_tasks(job_registry& registry, std::map<std::int64_t, int>* runs = nullptr,
               std::mutex* guard = nullptr) {
    registry.add("add", testing::add);
    registry.add(
        "flaky",
        [](job_context& context, const job_arguments&) -> value {
            if (context.attempt() < 3)
                throw std::runtime_error("not yet");
            return context.attempt();
        },
        testing::impatient());
    registry.add("all",
                 [](job_context&, const job_arguments& a) -> value { return a.get(0, "results"); });
    if (runs)
        registry.add("note", [=](job_context&, const job_arguments& a) -> value {
            std::lock_guard lock(*guard);
            ++(*runs)[a.get(0, "n").to_int()];
            return nullptr;
        });
}

void check_a_working_day(const std::string& broker, const std::string& results) {
    process_on_broker office, plant;
    add_tasks(plant.registry);
    auto& queue = office.open(broker, results);
    plant.open(broker, results);
    auto pool = plant.pool();
    const auto sum = queue.enqueue("add", {array{2, 3}}).value();
    CHECK(queue.wait(sum, soon()).value().result == value(5));
    const auto flaky = queue.enqueue("flaky", {}).value();
    CHECK(queue.wait(flaky, soon()).value().result == value(3));
    enqueue_options later;
    later.countdown = milliseconds(400);
    const auto begun = now();
    const auto delayed = queue.enqueue("add", {array{1}}, later).value();
    CHECK(queue.wait(delayed, soon()).value().result == value(1));
    CHECK(now() - begun >= milliseconds(400));
    const auto unknown = queue.enqueue("unknown.task", {}).value();
    CHECK(queue.wait(unknown, soon()).value().state == job_state::failed);
    const auto chain =
        queue
            .enqueue(
                call("add", array{2, 3}).then(call("add", array{10})).then(call("add", array{100})))
            .value();
    CHECK(queue.wait(chain.id, soon()).value().result == value(115));
    CHECK(queue.ping());
    CHECK(pool->stop(soon()).clean());
}

// A worker that quits gives the job of a deaf handler to another one, at once and not when it is missed.
void check_cold_stop(const std::string& broker) {
    testing::gate running, finish;
    process_on_broker leaves, stays;
    leaves.registry.add("deaf", [&](job_context&, const job_arguments&) -> value {
        running.open();
        finish.pass();
        return "too late";
    });
    stays.registry.add("deaf", [](job_context&, const job_arguments&) -> value { return "here"; });
    leaves.open(broker);
    auto& queue = stays.open(broker);
    auto pool = leaves.pool(1);
    const auto id = queue.enqueue("deaf", {}).value();
    REQUIRE(running.pass());
    const auto begun = now();
    const auto report = pool->quit(now() + milliseconds(50));
    CHECK(report.abandoned == 1);
    CHECK(report.returned == 1);
    CHECK(now() - begun < std::chrono::seconds(5));
    auto other = stays.pool(1);
    CHECK(queue.wait(id, soon()).value().result == value("here"));
    finish.open();
    pool.reset();
    CHECK(queue.get(id).value()->result == value("here"));
}

// 3,000 jobs while every connection is cut twice: each runs, and what ran twice is said.
template <class Cut>
void check_cut_connections(const std::string& broker, const std::string& results, Cut cut) {
    std::map<std::int64_t, int> runs;
    std::mutex guard;
    process_on_broker plant;
    add_tasks(plant.registry, &runs, &guard);
    auto& queue = plant.open(broker, results);
    auto pool = plant.pool();
    constexpr int jobs_in_all = 3'000;
    std::vector<std::string> sent;
    enqueue_options ignored;
    ignored.ignore_result = true;
    testing::journal<bool> accepted;
    for (int i = 0; i < jobs_in_all; ++i) {
        queue.enqueue("note", {array{value(i)}}, ignored,
                      [&](const auto& id) { accepted.add(id.has_value()); });
        if (i == 1'000 || i == 2'000)
            cut();
    }
    REQUIRE(accepted.wait_count(jobs_in_all, soon(std::chrono::seconds(60))));
    for (const bool each : accepted.all())
        CHECK(each);
    const auto done = [&] {
        std::lock_guard lock(guard);
        return runs.size() == jobs_in_all;
    };
    CHECK(testing::poll_until(done, std::chrono::seconds(60)));
    int repeated = 0;
    for (const auto& [n, times] : runs)
        repeated += times - 1;
    MESSAGE(repeated, " of ", jobs_in_all, " jobs ran once more; unacknowledged: ",
            testing::sum_of(plant.counted, "carillon_jobs_unacknowledged_total"));
}

// A chain that this process sends and another one runs.
void check_a_chain_elsewhere(const std::string& broker) {
    process_on_broker office;
    auto& queue = office.open(broker);
    testing::other_process plant("process: a worker on a broker until it is killed", broker);
    REQUIRE(plant.line("ready") == "");
    for (int i = 0; i < 20; ++i) {
        const auto chain = queue
                               .enqueue(call("add", array{i, 3})
                                            .then(call("add", array{10}))
                                            .then(call("add", array{100})))
                               .value();
        const auto end = queue.wait(chain.id, soon());
        REQUIRE(end);
        CHECK(end->result == value(i + 113));
    }
}

} // namespace

TEST_CASE("process: a worker on a broker until it is killed" * doctest::skip()) {
    process_on_broker plant;
    add_tasks(plant.registry);
    plant.open(testing::told_by_parent());
    auto pool = plant.pool();
    testing::say("ready");
    ::pause();
}

TEST_CASE("the results of a queue are where its broker can keep them") {
    CHECK(jobs::usual_results("amqps://u:p@host//") == "rpc://");
    CHECK(jobs::usual_results("redis://host/1") == "redis://host/1");
    CHECK(jobs::usual_results("rediss://host/1") == "rediss://host/1");
    job_queue_options options;
    job_registry registry;
    options.broker = "http://nowhere";
    CHECK(job_queue::open(options, {registry}).error().code == errc::invalid);
    options.broker = "redis://127.0.0.1:1/0";
    options.results = "mysql://x";
    CHECK(job_queue::open(options, {registry}).error().code == errc::invalid);
}

TEST_CASE("a queue over Redis: results, retries, delays, chains, chords, unique keys") {
    if (net::redis::test::no_redis())
        return;
    net::redis::test::server redis;
    check_a_working_day(redis.url(), {});
    check_cold_stop(redis.url());

    process_on_broker plant;
    add_tasks(plant.registry);
    testing::gate finish;
    plant.registry.add("slow", [&](job_context&, const job_arguments&) -> value {
        finish.pass();
        return 1;
    });
    auto& queue = plant.open(redis.url());
    auto pool = plant.pool();
    const auto chord =
        queue.enqueue(group({call("add", array{1, 1}), call("add", array{2, 2})}).then(call("all")))
            .value();
    CHECK(queue.wait(chord.id, soon()).value().result == value(array{2, 4}));
    enqueue_options unique;
    unique.unique_key = "only-one";
    const auto first = queue.enqueue("slow", {}, unique).value();
    CHECK(queue.enqueue("slow", {}, unique).value() == first);
    finish.open();
    CHECK(queue.wait(first, soon()).value().state == job_state::completed);
    const auto second = queue.enqueue("slow", {}, unique);
    REQUIRE(second);
    CHECK(queue.wait(*second, soon()).value().state == job_state::completed);
}

TEST_CASE("a queue over RabbitMQ with results as replies, and through cut connections") {
    if (jobs::amqp::test::no_rabbitmq())
        return;
    jobs::amqp::test::rabbitmq rabbit;
    check_a_working_day(rabbit.url(), {});
    check_cold_stop(rabbit.url());
    check_a_chain_elsewhere(rabbit.url());
    check_cut_connections(rabbit.url(), {}, [&] {
        rabbit.control({"close_all_connections", "a test"});
    });
}

TEST_CASE("a cancel reaches a job that runs in another process, over Redis") {
    if (net::redis::test::no_redis())
        return;
    net::redis::test::server redis;
    process_on_broker office, plant;
    testing::gate running;
    plant.registry.add("endless", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        while (context.wait_for(std::chrono::seconds(20))) {
        }
        context.throw_if_cancelled();
        return nullptr;
    });
    auto& queue = office.open(redis.url());
    auto& elsewhere = plant.open(redis.url());
    auto pool = plant.pool(1);
    const auto id = elsewhere.enqueue("endless", {}).value();
    REQUIRE(running.pass());
    CHECK(queue.cancel(id).value());
    CHECK(elsewhere.wait(id, soon()).value().state == job_state::cancelled);
}

} // namespace carillon
