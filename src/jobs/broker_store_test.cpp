#include "jobs/broker_store.hpp"

#include <atomic>
#include <climits>
#include <stdexcept>

#include <doctest/doctest.h>

#include "jobs/test_station.hpp"

namespace carillon {

namespace celery = wire::celery;
using std::chrono::milliseconds;
using testing::journal;
using testing::loopback_broker;
using testing::loopback_records;
using testing::loopback_results;
using testing::loopback_server;
using testing::soon;
using testing::station;

namespace {

value add(job_context&, const job_arguments& a) {
    std::int64_t sum = 0;
    for (const auto& each : a.args)
        sum += each.to_int();
    return sum;
}

job_options impatient() {
    job_options o;
    o.retry_delay = milliseconds(1);
    return o;
}

} // namespace

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

TEST_CASE("a chain passes each result on, its records name parents and children") {
    station here;
    here.registry.add("math.add", add);
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent = queue
                          .enqueue(call("math.add", array{2, 3})
                                       .id("first")
                                       .then(call("math.add", array{10}).id("second"))
                                       .then(call("math.add", array{100})))
                          .value();
    CHECK(queue.wait(sent.id, soon()).value().result == value(115));
    REQUIRE(here.all_acknowledged());
    const auto first = here.records->last("first"), second = here.records->last("second");
    CHECK(second.parent_id == "first");
    CHECK(here.records->last(sent.id).parent_id == "second");
    REQUIRE(first.children);
    REQUIRE(first.children->size() == 1);
    CHECK(first.children->front().id == "second");
}

TEST_CASE("a step that fails takes the later ones with it, and its errback hears its id") {
    station here;
    auto options = impatient();
    options.attempts_max = 1;
    here.registry.add("math.add", add);
    here.registry.add(
        "boom", [](job_context&, const job_arguments&) -> value { throw std::runtime_error("x"); },
        options);
    journal<std::string> heard;
    here.registry.add("report", [&](job_context&, const job_arguments& a) -> value {
        heard.add(std::string(a.get(0, "id").to_text()));
        return nullptr;
    });
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent = queue
                          .enqueue(call("math.add", array{1})
                                       .then(call("boom").id("middle").on_error(call("report")))
                                       .then(call("math.add", array{100})))
                          .value();
    const auto record = queue.wait(sent.id, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error.find("x") != std::string::npos);
    REQUIRE(heard.wait_count(1));
    CHECK(heard.all()[0] == "middle");
}

TEST_CASE("what follows a group gets the results of its members in order") {
    station here;
    here.registry.add("math.add", add);
    here.registry.add(
        "total", [](job_context&, const job_arguments& a) -> value { return a.get(0, "all"); });
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent =
        queue
            .enqueue(group({call("math.add", array{1, 1}), call("math.add", array{2, 2}),
                            call("math.add", array{3, 3})})
                         .then(call("total")))
            .value();
    CHECK(queue.wait(sent.id, soon()).value().result == value(array{2, 4, 6}));
    REQUIRE(here.all_acknowledged());
    CHECK(here.records->chord_parts.empty());

    const auto bare =
        queue.enqueue(group({call("math.add", array{1}), call("math.add", array{2})})).value();
    REQUIRE(bare.members.size() == 2);
    CHECK(queue.wait(bare.members[1], soon()).value().result == value(2));
}

TEST_CASE("a member that fails fails what follows its group") {
    station here;
    auto options = impatient();
    options.attempts_max = 1;
    here.registry.add("math.add", add);
    here.registry.add(
        "boom", [](job_context&, const job_arguments&) -> value { throw std::runtime_error("x"); },
        options);
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent =
        queue
            .enqueue(
                group({call("math.add", array{1}), call("boom").id("bad")}).then(call("math.add")))
            .value();
    CHECK(queue.wait(sent.id, soon()).value().state == job_state::failed);
    const auto raised = celery::read_exception(here.records->last(sent.id).outcome);
    CHECK(raised.type == "ChordError");
    CHECK(raised.arguments[0].to_text().find("bad") != std::string::npos);
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
    const auto limit = soon(std::chrono::seconds(60));
    while (here.store->pending() < 2'000 && now() < limit)
        std::this_thread::sleep_for(milliseconds(5)); // the store tells nobody when it is held up
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
