// Workflows, unique keys and hard time limits of the embedded queue.
#include <carillon/jobs/workflow.hpp>

#include <atomic>
#include <stdexcept>

#include <doctest/doctest.h>

#include "jobs/test_support.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::journal;
using testing::soon;
using testing::workshop;

namespace {

void add_tasks(workshop& shop) {
    shop.registry.add("add", testing::add);
    shop.registry.add(
        "all", [](job_context&, const job_arguments& a) -> value { return a.get(0, "results"); });
    job_options once;
    once.attempts_max = 1;
    shop.registry.add(
        "boom",
        [](job_context&, const job_arguments&) -> value { throw std::runtime_error("boom"); },
        once);
}

} // namespace

TEST_CASE("a call is Celery's signature") {
    const auto step = call("add", {array{1}, object{{"x", 2}}}).queue("sums").immutable();
    CHECK(step.signature()["task"] == value("add"));
    CHECK(step.signature()["args"] == value(array{1}));
    CHECK(step.signature()["kwargs"] == value(object{{"x", 2}}));
    CHECK(step.signature()["options"] == value(object{{"queue", "sums"}}));
    CHECK(step.signature()["subtask_type"].is_null());
    CHECK(step.signature()["immutable"] == value(true));
    const auto chain = call("a").then(call("b")).then(call("c").then(call("d")));
    CHECK(chain.signature()["subtask_type"] == value("chain"));
    CHECK(chain.signature()["kwargs"]["tasks"].if_array()->size() == 4);
    const auto both = group({call("a"), call("b")}).on_error(call("oops"));
    for (const auto& each : *both.signature()["kwargs"]["tasks"].if_array())
        CHECK(each["options"]["link_error"].if_array()->size() == 1);
}

TEST_CASE("the steps of a chain have records from the start, and each gets the result before it") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop);
    auto& queue = shop.open();
    const auto sent = queue
                          .enqueue(call("add", array{2, 3})
                                       .id("first")
                                       .then(call("add", array{10}).id("second"))
                                       .then(call("add", array{100})))
                          .value();
    CHECK(queue.get("second").value()->state == job_state::waiting);
    CHECK(queue.get(sent.id).value()->task == "add");
    CHECK(queue.queues().value().size() == 1);
    auto pool = shop.pool();
    CHECK(queue.wait(sent.id, soon()).value().result == value(115));
    CHECK(queue.get("first").value()->result == value(5));
    CHECK(queue.get("second").value()->result == value(15));
}

TEST_CASE("a step that fails fails the later ones; put back by hand it lets them follow") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop);
    std::atomic<bool> broken{true};
    job_options once;
    once.attempts_max = 1;
    shop.registry.add(
        "mended",
        [&](job_context&, const job_arguments& a) -> value {
            if (broken)
                throw std::runtime_error("out of paper");
            return a.get(0, "n");
        },
        once);
    journal<std::string> heard;
    shop.registry.add("report", [&](job_context&, const job_arguments& a) -> value {
        heard.add(std::string(a.get(0, "id").to_text()));
        return nullptr;
    });
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto sent = queue
                          .enqueue(call("add", array{1})
                                       .then(call("mended").id("middle").on_error(call("report")))
                                       .then(call("add", array{100})))
                          .value();
    const auto failed = queue.wait(sent.id, soon()).value();
    CHECK(failed.state == job_state::failed);
    CHECK(failed.error == "out of paper");
    CHECK(failed.attempts == 0);
    REQUIRE(heard.wait_count(1));
    CHECK(heard.all()[0] == "middle");

    broken = false;
    REQUIRE(queue.retry("middle").value());
    CHECK(queue.wait("middle", soon()).value().state == job_state::completed);
    CHECK(queue.wait(sent.id, soon()).value().result == value(101));
}

TEST_CASE("what follows a group gets all results in order, whoever ends last") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop);
    auto& queue = shop.open();
    auto pool = shop.pool(3);
    std::vector<call> members;
    array expected;
    for (int i = 0; i < 20; ++i) {
        members.push_back(call("add", array{i, i}));
        expected.emplace_back(2 * i);
    }
    const auto sent = queue.enqueue(group(members).then(call("all"))).value();
    CHECK(queue.wait(sent.id, soon()).value().result == value(expected));
    auto file = db::sqlite::connection::open(folder.path() / "queue.db", {}).value();
    CHECK(file.query("SELECT * FROM chord_members", {}).value().empty());
    CHECK(file.query("SELECT * FROM chords", {}).value().empty());
}

TEST_CASE("a member that fails fails what follows its group") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop);
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto sent =
        queue.enqueue(group({call("add", array{1}), call("boom").id("bad")}).then(call("all")))
            .value();
    const auto record = queue.wait(sent.id, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error.find("bad") != std::string::npos);
}

TEST_CASE("a waiting head of a chain that is cancelled takes its steps with it") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop);
    auto& queue = shop.open();
    const auto sent =
        queue.enqueue(call("add", array{1}).id("head").then(call("add", array{2}))).value();
    REQUIRE(queue.cancel("head").value());
    CHECK(queue.wait(sent.id, soon()).value().state == job_state::cancelled);
    // And a step that is cancelled before its turn stays so.
    const auto other =
        queue.enqueue(call("add", array{1}).id("one").then(call("add").id("two")).then(call("add")))
            .value();
    REQUIRE(queue.cancel("two").value());
    auto pool = shop.pool();
    CHECK(queue.wait("one", soon()).value().state == job_state::completed);
    CHECK(queue.wait("two", soon()).value().state == job_state::cancelled);
    CHECK(queue.wait(other.id, soon()).value().state == job_state::cancelled);
}

TEST_CASE("a malformed call is refused as a whole") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop);
    auto& queue = shop.open();
    CHECK(queue.enqueue(call("")).error().code == errc::bad_request);
    const auto twice = group({call("add").id("same"), call("add").id("same")});
    queue.enqueue(twice).value(); // the second is the first
    job_filter filter;
    CHECK(queue.list(filter).value().size() == 1);
}

TEST_CASE("a second enqueue with the unique key of an unfinished job gives that job") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate finish;
    shop.registry.add("slow", [&](job_context&, const job_arguments&) -> value {
        finish.pass();
        return nullptr;
    });
    auto& queue = shop.open();
    enqueue_options unique;
    unique.unique_key = "report-7";
    const auto first = queue.enqueue("slow", {}, unique).value();
    CHECK(queue.enqueue("slow", {}, unique).value() == first);
    auto pool = shop.pool();
    CHECK(queue.enqueue("slow", {}, unique).value() == first);
    unique.unique_key = "report-8";
    CHECK(queue.enqueue("slow", {}, unique).value() != first);
    finish.open();
    queue.wait(first, soon()).value();
    unique.unique_key = "report-7";
    CHECK(queue.enqueue("slow", {}, unique).value() != first);
    unique.unique_key = std::string(256, 'k');
    CHECK(queue.enqueue("slow", {}, unique).error().code == errc::invalid);
}

TEST_CASE("a handler that stays past its hard time limit loses its job, and its thread is "
          "replaced") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate finish;
    journal<stop_reason> reasons;
    job_options limited;
    limited.hard_time_limit = milliseconds(150);
    shop.registry.add(
        "deaf",
        [&](job_context& context, const job_arguments&) -> value {
            finish.pass();
            reasons.add(context.stopping());
            context.progress(50, "too late");
            return "too late";
        },
        limited);
    shop.registry.add("quick", [](job_context&, const job_arguments&) -> value { return 1; });
    auto& queue = shop.open();
    auto pool = shop.pool(1);
    const auto id = queue.enqueue("deaf", {}).value();
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error == "the hard time limit of 0.15 s has passed");
    CHECK(record.attempts == 1);
    // The one slot works again, and readiness says that its thread is stuck.
    CHECK(queue.wait(queue.enqueue("quick", {}).value(), soon()).value().state ==
          job_state::completed);
    CHECK(shop.metric("carillon_jobs_stuck") == 1);
    CHECK(queue.ping().error().code == errc::unavailable);
    finish.open();
    REQUIRE(reasons.wait_count(1));
    CHECK(reasons.all()[0] == stop_reason::lost);
    const auto limit = soon();
    while (!queue.ping() && now() < limit)
        std::this_thread::yield();
    CHECK(queue.ping());
    pool.reset();
    CHECK(queue.get(id).value()->state == job_state::failed);
    CHECK(shop.metric("carillon_jobs_failed_total") == 1);
}

TEST_CASE("a queue of an earlier version is brought up to date and keeps its jobs") {
    const std::vector<std::string> third_to_second{
        "DROP INDEX jobs_limited", "ALTER TABLE jobs DROP COLUMN limit_key",
        "ALTER TABLE jobs DROP COLUMN limit_max", "PRAGMA user_version = 2"};
    const std::vector<std::string> second_to_first{
        "DROP INDEX jobs_unique", "ALTER TABLE jobs DROP COLUMN unique_key", "DROP TABLE chords",
        "DROP TABLE chord_members", "PRAGMA user_version = 1"};
    for (const int version : {1, 2}) {
        CAPTURE(version);
        testing::temporary_folder folder;
        std::string id;
        {
            workshop shop(folder.path());
            add_tasks(shop);
            id = shop.open().enqueue("add", {array{4, 5}}).value();
        }
        {
            auto file = db::sqlite::connection::open(folder.path() / "queue.db", {}).value();
            for (const auto& sql : third_to_second)
                file.run(sql.c_str()).value();
            if (version == 1)
                for (const auto& sql : second_to_first)
                    file.run(sql.c_str()).value();
        }
        workshop shop(folder.path());
        add_tasks(shop);
        auto& queue = shop.open();
        auto pool = shop.pool();
        CHECK(queue.wait(id, soon()).value().result == value(9));
        enqueue_options limited;
        limited.concurrency_max = 1;
        const auto other = queue.enqueue("add", {array{1, 1}}, limited).value();
        CHECK(queue.wait(other, soon()).value().result == value(2));
        const auto sent = queue.enqueue(call("add", array{1}).then(call("add", array{1}))).value();
        CHECK(queue.wait(sent.id, soon()).value().result == value(2));
    }
}

} // namespace carillon
