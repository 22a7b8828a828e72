#include "jobs/broker_store.hpp"

#include <atomic>
#include <stdexcept>

#include <doctest/doctest.h>

#include "jobs/test_station.hpp"

namespace carillon {

namespace celery = wire::celery;
using std::chrono::milliseconds;
using testing::add;
using testing::impatient;
using testing::soon;
using testing::station;

TEST_CASE("a job runs in another process on the broker, is acknowledged once, and its result is "
          "heard by the sender") {
    station office;
    station plant(office.server, office.records);
    plant.registry.add("math.add", add);
    auto& queue = office.open();
    plant.open();
    auto pool = plant.pool();
    enqueue_options options;
    options.group = "sums";
    const auto id = queue.enqueue("math.add", {array{2, 3}}, options).value();
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::completed);
    CHECK(record.result == value(5));
    CHECK(record.task == "math.add");
    REQUIRE(office.all_acknowledged());
    CHECK(office.server->acks == 1);
    CHECK(office.server->published == 1);
    // Its group hears of it in the process that ran it.
    REQUIRE(plant.layer.sent.wait([](const auto& sent) {
        return !sent.empty() && sent.back().what["status"].to_text() == "completed";
    }));
    CHECK(plant.layer.sent.all().back().to == "sums");
    CHECK(queue.get("nobody").value() == std::nullopt);
    CHECK(queue.wait("nobody", now() + milliseconds(20)).error().code == errc::timed_out);
    CHECK(queue.list().error().code == errc::method_not_allowed);
}

TEST_CASE("where results come as replies they are watched before the job is sent") {
    station here;
    here.reply_to = "replies-of-this-process";
    here.registry.add("math.add", add);
    auto& queue = here.open();
    const auto id = queue.enqueue("math.add", {array{40, 2}}).value();
    CHECK(queue.get(id).value()->state == job_state::waiting);
    auto pool = here.pool();
    CHECK(queue.wait(id, soon()).value().result == value(42));
    CHECK(queue.get(id).value()->result == value(42));
    CHECK(queue.wait("of-another", soon()).error().code == errc::not_found);
}

TEST_CASE("a retry is a message with the same id, one more retry and an eta, and RETRY is "
          "recorded in between") {
    station here;
    std::atomic<int> runs{0};
    here.registry.add(
        "flaky",
        [&](job_context& context, const job_arguments&) -> value {
            if (++runs < 3)
                throw std::runtime_error("not yet");
            return context.attempt();
        },
        impatient());
    auto& queue = here.open();
    auto pool = here.pool();
    const auto id = queue.enqueue("flaky", {}).value();
    CHECK(queue.wait(id, soon()).value().result == value(3));
    CHECK(here.records->statuses(id) == std::vector<std::string>{"RETRY", "RETRY", "SUCCESS"});
    REQUIRE(here.all_acknowledged());
    CHECK(here.server->published == 3);
    CHECK(here.metric("carillon_jobs_retried_total") == 2);
}

TEST_CASE("a failure is recorded as Python raises it, with a traceback") {
    station here;
    auto options = impatient();
    options.attempts_max = 1;
    here.registry.add(
        "boom",
        [](job_context&, const job_arguments&) -> value { throw std::invalid_argument("boom"); },
        options);
    auto& queue = here.open();
    auto pool = here.pool();
    const auto id = queue.enqueue("boom", {}).value();
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error.find("boom") != std::string::npos);
    const auto stored = here.records->last(id);
    CHECK(stored.status == "FAILURE");
    CHECK(celery::read_exception(stored.outcome).arguments == array{"boom"});
    CHECK(stored.traceback.find("boom") != std::string::npos);
    CHECK(stored.date_done.has_value());
}

TEST_CASE("what nobody here can run fails and is not queued again") {
    station here;
    here.registry.add("known", add);
    auto& queue = here.open();
    celery::message unknown;
    unknown.task = "of.another.program";
    here.put(unknown);
    celery::message unreadable;
    unreadable.task = "known";
    auto damaged = celery::encode_parts([&] {
                       unreadable.id = "damaged";
                       return unreadable;
                   }())
                       .value();
    damaged.body = "{";
    here.server->put({"celery", damaged});
    damaged.headers = object{{"task", "known"}};
    damaged.properties = object{{"content_type", "application/json"}};
    here.server->put({"celery", damaged}); // nobody can be told of it
    auto pool = here.pool(1);
    const auto good = queue.enqueue("known", {array{1}}).value();
    CHECK(queue.wait(good, soon()).value().state == job_state::completed);
    REQUIRE(here.all_acknowledged());
    CHECK(here.server->rejects == 3);
    CHECK(here.server->requeues == 0);
    const auto refused = here.records->last("id-of-of.another.program");
    CHECK(refused.status == "FAILURE");
    CHECK(celery::read_exception(refused.outcome).type == "NotRegistered");
    CHECK(here.records->last("damaged").status == "FAILURE");
    CHECK(here.metric("carillon_jobs_refused_total") == 1);
}

TEST_CASE("a message whose time is near waits here, one whose time is far waits at the broker") {
    station here;
    here.options.held_max = 2;
    std::atomic<int> runs{0};
    here.registry.add("later", [&](job_context&, const job_arguments&) -> value { return ++runs; });
    auto& queue = here.open();
    auto pool = here.pool();
    const auto begun = utc_now();
    enqueue_options far, near;
    far.countdown = std::chrono::hours(24 * 30);
    near.countdown = milliseconds(600);
    queue.enqueue("later", {}, far).value();
    CHECK(here.server->delayed.size() == 1); // by the sender
    const auto id = queue.enqueue("later", {}, near).value();
    const auto limit = soon();
    while (here.store->scheduled(1).empty() && now() < limit)
        std::this_thread::yield();
    celery::message foreign; // Celery's senders put everything into the queue
    foreign.task = "later";
    for (int i = 0; i < 4; ++i) {
        foreign.id = "foreign-" + std::to_string(i);
        foreign.eta = begun + (i == 0 ? std::chrono::hours(2) : std::chrono::hours(0)) +
                      std::chrono::minutes(5);
        here.put(foreign);
    }
    // The near one and the first of the foreign ones are held, which is all that may be.
    REQUIRE(here.server->wait([](const auto& s) { return s.delayed.size() == 4; }));
    CHECK(queue.wait(id, soon()).value().state == job_state::completed);
    CHECK(utc_now() - begun >= milliseconds(600));
    CHECK(runs == 1);
    CHECK(here.metric("carillon_jobs_put_off_total") == 3);
    CHECK(here.store->scheduled(10).size() == 1);
    CHECK(here.store->next_eta().value() == begun + std::chrono::minutes(5));
}

TEST_CASE("a job past its expiry is revoked instead of run") {
    station here;
    std::atomic<int> runs{0};
    here.registry.add("known", [&](job_context&, const job_arguments&) -> value { return ++runs; });
    auto& queue = here.open();
    enqueue_options expired;
    expired.expires = utc_now() - std::chrono::seconds(1);
    const auto id = queue.enqueue("known", {}, expired).value();
    auto pool = here.pool();
    CHECK(queue.wait(id, soon()).value().state == job_state::cancelled);
    CHECK(celery::read_exception(here.records->last(id).outcome).arguments == array{"expired"});
    CHECK(runs == 0);
}

TEST_CASE("a cancel reaches running jobs, waiting ones and those that wait for their time") {
    station office;
    station plant(office.server, office.records);
    testing::gate running;
    std::atomic<int> ends{0};
    plant.registry.add("endless", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        while (context.wait_for(std::chrono::seconds(20))) {
        }
        ++ends;
        context.throw_if_cancelled();
        return nullptr;
    });
    auto& queue = office.open();
    auto& elsewhere = plant.open();
    const auto waiting = queue.enqueue("endless", {}).value();
    CHECK(elsewhere.cancel(waiting).value());
    CHECK_FALSE(elsewhere.cancel(waiting).value()); // it is recorded as revoked
    auto pool = plant.pool(1);
    const auto id = elsewhere.enqueue("endless", {}).value();
    enqueue_options later;
    later.countdown = std::chrono::minutes(5);
    const auto delayed = elsewhere.enqueue("endless", {}, later).value();
    REQUIRE(running.pass());
    REQUIRE(elsewhere.cancel(id).value());
    REQUIRE(elsewhere.cancel(delayed).value());
    REQUIRE(office.all_acknowledged());
    CHECK(ends == 1);
    CHECK(celery::read_exception(office.records->last(id).outcome).arguments ==
          array{"terminated"});
    CHECK(office.records->last(waiting).status == "REVOKED");
    CHECK(office.records->last(delayed).status == "REVOKED");
    std::lock_guard lock(office.server->guard);
    REQUIRE(office.server->emitted.size() == 3);
    CHECK(office.server->emitted.front().first == "celery.pidbox");
}

TEST_CASE("a unique key is held until its job has ended") {
    station here;
    testing::gate finish;
    here.registry.add("slow", [&](job_context&, const job_arguments&) -> value {
        finish.pass();
        return nullptr;
    });
    auto& queue = here.open();
    auto pool = here.pool();
    enqueue_options unique;
    unique.unique_key = "report-7";
    const auto first = queue.enqueue("slow", {}, unique).value();
    CHECK(queue.enqueue("slow", {}, unique).value() == first);
    finish.open();
    REQUIRE(here.all_acknowledged());
    CHECK(here.server->published == 1);
    const auto second = queue.enqueue("slow", {}, unique).value();
    CHECK(second != first);
    CHECK(queue.wait(second, soon()).value().state == job_state::completed);
}

TEST_CASE("start and progress are recorded where they are asked for, nothing where the result is "
          "ignored") {
    station here;
    job_options options;
    options.track_started = true;
    options.progress_rate = 1'000;
    testing::gate told;
    here.registry.add(
        "steps",
        [&](job_context& context, const job_arguments&) -> value {
            context.progress(30, "a third");
            told.pass();
            return 1;
        },
        options);
    auto& queue = here.open();
    auto pool = here.pool();
    const auto id = queue.enqueue("steps", {}).value();
    REQUIRE(here.records->wait([&](const auto& r) {
        auto there = r.of.find(id);
        return there != r.of.end() && there->second.back().status == "PROGRESS";
    }));
    const auto record = queue.get(id).value();
    CHECK(record->state == job_state::running);
    CHECK(record->progress == 30);
    CHECK(record->message == "a third");
    told.open();
    CHECK(queue.wait(id, soon()).value().state == job_state::completed);
    {
        std::lock_guard lock(here.records->guard);
        const auto& started = here.records->of[id].front();
        CHECK(started.status == "STARTED");
        CHECK(started.outcome["hostname"].to_text() == pool->name());
        CHECK(started.outcome["pid"].to_int() > 0);
    }
    enqueue_options ignored;
    ignored.ignore_result = true;
    const auto silent = queue.enqueue("steps", {}, ignored).value();
    REQUIRE(here.all_acknowledged());
    CHECK(here.records->statuses(silent).empty());
}

TEST_CASE("a job that is to be acknowledged early is, before it runs") {
    station here;
    job_options options;
    options.acks_late = false;
    testing::gate finish;
    here.registry.add(
        "once",
        [&](job_context&, const job_arguments&) -> value {
            finish.pass();
            return 1;
        },
        options);
    auto& queue = here.open();
    auto pool = here.pool();
    const auto id = queue.enqueue("once", {}).value();
    REQUIRE(here.server->wait([](const auto& s) { return s.acks == 1; }));
    CHECK_FALSE(is_final(queue.get(id).value()->state));
    finish.open();
    CHECK(queue.wait(id, soon()).value().state == job_state::completed);
}

TEST_CASE("thousands of short jobs through the broker each run once") {
    station here;
    constexpr int jobs_in_all = 3'000;
    std::vector<std::atomic<int>> runs(jobs_in_all);
    here.registry.add("short", [&](job_context&, const job_arguments& a) -> value {
        ++runs[static_cast<std::size_t>(a.get(0, "i").to_int())];
        return nullptr;
    });
    auto& queue = here.open();
    enqueue_options ignored;
    ignored.ignore_result = true;
    for (int i = 0; i < jobs_in_all; ++i)
        queue.enqueue("short", {array{i}}, ignored, [](const auto&) {});
    auto pool = here.pool(2);
    REQUIRE(here.server->wait([](const auto& s) { return s.acks == jobs_in_all; }));
    for (const auto& each : runs)
        CHECK(each.load() == 1);
    std::lock_guard lock(here.server->guard);
    // The prefetch grew with the pool's appetite, by few changes.
    CHECK(*std::ranges::max_element(here.server->prefetches) > 8);
    CHECK(here.server->prefetches.size() < 100);
}

} // namespace carillon
