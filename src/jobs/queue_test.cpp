#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include <carillon/wire/json.hpp>

#include "jobs/test_support.hpp"
#include "wire/celery/message.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::journal;
using testing::soon;
using testing::workshop;

namespace {

value nothing(job_context&, const job_arguments&) { return nullptr; }

// The job as it lies in the store, whatever its state.
jobs::claimed_job take_one(job_queue& queue) {
    auto& store = testing::stored(queue);
    worker_info me;
    me.id = "00000000-0000-4000-8000-000000000001";
    me.started = utc_now();
    const auto owner = store.add_worker(me, std::chrono::seconds(10)).value();
    const std::vector<std::string> queues{"celery", "slow"};
    auto taken = store.claim(owner, queues, 1, 0).value();
    REQUIRE(taken.size() == 1);
    taken.front().read();
    return taken.front();
}

} // namespace

TEST_CASE("an enqueued job is on disk as Celery's message when its id is given") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("math.add", nothing);
    auto& queue = shop.open();
    enqueue_options options;
    options.group = "report_1";
    options.priority = 5;
    const auto id = queue.enqueue("math.add", {array{2, 3}, object{{"x", "y"}}}, options).value();

    CHECK(id.size() == 36);
    const auto record = queue.get(id).value();
    REQUIRE(record);
    CHECK(record->state == job_state::waiting);
    CHECK(record->queue == "celery");
    CHECK(record->attempts == 0);

    const auto job = take_one(queue);
    const auto& message = **job.message;
    CHECK(message.task == "math.add");
    CHECK(message.id == id);
    CHECK(message.args == array{2, 3});
    CHECK(message.kwargs == object{{"x", "y"}});
    CHECK(message.argsrepr == "(2, 3)");
    CHECK(message.correlation_id == id);
    CHECK(message.priority == 5);
    CHECK(message.delivery_mode == 2);
    CHECK(job.group == "report_1");
    auto file = db::sqlite::connection::open(folder.path() / "queue.db", {}).value();
    const auto stored = file.query("SELECT body FROM messages", {}).value();
    CHECK(
        stored.front().at(0) ==
        value(R"([[2,3],{"x":"y"},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}])"));
}

TEST_CASE("what cannot be enqueued is refused with a reason") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("known", nothing);
    job_queue_options options;
    options.data_dir = folder.path();
    options.message_bytes_max = 2'000;
    options.waiting_max = 3;
    auto& queue = shop.open(options);

    CHECK(queue.enqueue("unknown", {}).error().code == errc::not_found);
    CHECK(queue.enqueue("known", {array{std::string(3'000, 'x')}}).error().code == errc::too_large);
    enqueue_options wrong;
    wrong.priority = 10;
    CHECK(queue.enqueue("known", {}, wrong).error().code == errc::invalid);
    wrong = {};
    wrong.group = "no spaces";
    CHECK(queue.enqueue("known", {}, wrong).error().code == errc::invalid);
    wrong = {};
    wrong.countdown = milliseconds(-1);
    CHECK(queue.enqueue("known", {}, wrong).error().code == errc::invalid);

    enqueue_options named;
    named.id = "the-same";
    CHECK(queue.enqueue("known", {}, named).value() == "the-same");
    CHECK(queue.enqueue("known", {}, named).error().code == errc::conflict);
    queue.enqueue("known", {}).value();
    CHECK(queue.enqueue("known", {}).error().code == errc::too_many_requests);
}

TEST_CASE("jobs of many threads share transactions and are all there") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("known", nothing);
    auto& queue = shop.open();
    constexpr std::size_t threads = 8, each = 100;
    std::vector<std::thread> writers;
    for (std::size_t t = 0; t < threads; ++t)
        writers.emplace_back([&] {
            for (std::size_t i = 0; i < each; ++i)
                queue.enqueue("known", {array{i}}).value();
        });
    for (auto& writer : writers)
        writer.join();
    const auto info = queue.queues().value();
    REQUIRE(info.size() == 1);
    CHECK(info[0].waiting == threads * each);
    CHECK(shop.metric("carillon_jobs_enqueued_total") == threads * each);
}

TEST_CASE("a queue that is opened again holds what it held") {
    testing::temporary_folder folder;
    std::string id;
    {
        workshop shop(folder.path());
        shop.registry.add("known", nothing);
        id = shop.open().enqueue("known", {}).value();
    }
    workshop shop(folder.path());
    shop.registry.add("known", nothing);
    CHECK(shop.open().get(id).value()->state == job_state::waiting);
}

TEST_CASE("a queue of a newer program is refused") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.open();
    shop.queue.reset();
    auto file = db::sqlite::connection::open(folder.path() / "queue.db", {}).value();
    file.run("PRAGMA user_version = 99").value();
    job_queue_options options;
    options.data_dir = folder.path();
    auto opened = job_queue::open(options, {shop.registry});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::conflict);
    CHECK(opened.error().message.find("newer") != std::string::npos);
}

TEST_CASE("a waiting job is cancelled at once, its observer and its group hear of it, and no "
          "worker runs it") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    journal<std::string> told;
    std::atomic<int> runs{0};
    job_options options;
    options.observer = [&](const job_update& news) { told.add(std::string(news.status)); };
    shop.registry.add(
        "known", [&](job_context&, const job_arguments&) -> value { return ++runs; }, options);
    auto& queue = shop.open();
    enqueue_options grouped;
    grouped.group = "report_1";
    const auto id = queue.enqueue("known", {}, grouped).value();

    CHECK(queue.cancel(id).value());
    CHECK(queue.get(id).value()->state == job_state::cancelled);
    CHECK(told.all() == std::vector<std::string>{"cancelled"});
    REQUIRE(shop.layer.sent.all().size() == 1);
    CHECK(shop.layer.sent.all()[0].what["status"].to_text() == "cancelled");
    CHECK_FALSE(queue.cancel(id).value());
    CHECK(queue.cancel("nobody").error().code == errc::not_found);

    auto pool = shop.pool();
    const auto last = queue.enqueue("known", {}).value();
    CHECK(queue.wait(last, soon()).value().state == job_state::completed);
    CHECK(runs == 1);
}

TEST_CASE("a process that dies between the mark and the end of a cancel leaves a job that its "
          "worker cancels") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    journal<std::string> told;
    job_options options;
    options.observer = [&](const job_update& news) { told.add(std::string(news.status)); };
    shop.registry.add("known", nothing, options);
    auto& queue = shop.open();
    const auto id = queue.enqueue("known", {}).value();
    testing::stored(queue).request_cancel(id).value(); // the first half of job_queue::cancel

    auto pool = shop.pool();
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::cancelled);
    CHECK(record.attempts == 0);
    CHECK(told.all() == std::vector<std::string>{"cancelled"});
}

TEST_CASE("a wait ends with the job, or at its deadline") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("known", nothing);
    auto& queue = shop.open();
    const auto id = queue.enqueue("known", {}).value();
    CHECK(queue.wait(id, now() + milliseconds(30)).error().code == errc::timed_out);
    CHECK(queue.wait("nobody", soon()).error().code == errc::not_found);
}

TEST_CASE("a failed job is put back by hand, with all its tries") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    std::atomic<bool> broken{true};
    shop.registry.add("known", [&](job_context&, const job_arguments&) -> value {
        if (broken)
            throw error(errc::invalid, "the first line has no columns");
        return "fine";
    });
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto id = queue.enqueue("known", {}).value();
    auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error == "the first line has no columns");
    CHECK(record.attempts == 1);

    broken = false;
    CHECK(queue.retry(id).value());
    record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::completed);
    CHECK(record.result == value("fine"));
    CHECK(record.attempts == 1);
    CHECK_FALSE(queue.retry(id).value());
    CHECK(queue.retry("nobody").error().code == errc::not_found);
}

TEST_CASE("a job that was cancelled while it ran is put back by hand and runs to its end") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate running;
    std::atomic<int> runs{0};
    shop.registry.add("known", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        if (++runs == 1)
            context.wait_for(std::chrono::seconds(20));
        context.throw_if_cancelled();
        return "done";
    });
    auto& queue = shop.open();
    auto pool = shop.pool(1);
    const auto id = queue.enqueue("known", {}).value();
    REQUIRE(running.pass());
    CHECK(queue.cancel(id).value());
    CHECK(queue.wait(id, soon()).value().state == job_state::cancelled);
    CHECK(queue.retry(id).value());
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::completed);
    CHECK_FALSE(record.cancel_requested);
}

TEST_CASE("finished jobs are listed newest first and removed after their time") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("known", nothing);
    auto& queue = shop.open();
    auto pool = shop.pool();
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i) {
        ids.push_back(queue.enqueue("known", {}).value());
        queue.wait(ids.back(), soon()).value();
    }
    job_filter filter;
    filter.state = job_state::completed;
    filter.limit = 2;
    const auto listed = queue.list(filter).value();
    REQUIRE(listed.size() == 2);
    CHECK(listed[0].id == ids[2]);
    CHECK(listed[1].id == ids[1]);
    filter.limit = 0;
    CHECK(queue.list(filter).error().code == errc::invalid);

    CHECK(testing::stored(queue).purge(utc_now() + std::chrono::seconds(1)).value() == 3);
    CHECK_FALSE(queue.get(ids[0]).value());
}

} // namespace carillon
