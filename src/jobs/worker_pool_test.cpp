#include <carillon/jobs/worker_pool.hpp>

#include <atomic>
#include <stdexcept>

#include <doctest/doctest.h>

#include "jobs/test_support.hpp"
#include "jobs/worker_name.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::journal;
using testing::soon;
using testing::workshop;

namespace {

job_options remembering(journal<job_update>& told) {
    job_options options;
    options.retry_delay = milliseconds(1);
    options.observer = [&told](const job_update& news) { told.add(news); };
    return options;
}

std::vector<std::string> statuses(const journal<job_update>& told) {
    std::vector<std::string> all;
    for (const auto& news : told.all())
        all.emplace_back(news.status);
    return all;
}

} // namespace

TEST_CASE("a job runs, and its row, its observer and its group hear how it went") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    journal<job_update> told;
    auto options = remembering(told);
    options.progress_rate = 1'000;
    shop.registry.add(
        "math.add",
        [](job_context& context, const job_arguments& arguments) -> value {
            context.progress(50, "half");
            const auto sum = arguments.get(0, "a").to_int() + arguments.get(1, "b").to_int();
            context.progress(100, "Added");
            return sum;
        },
        options);
    auto& queue = shop.open();
    auto pool = shop.pool();
    enqueue_options grouped;
    grouped.group = "sums";
    const auto id = queue.enqueue("math.add", {array{2}, object{{"b", 3}}}, grouped).value();
    const auto record = queue.wait(id, soon()).value();

    CHECK(record.state == job_state::completed);
    CHECK(record.result == value(5));
    CHECK(record.progress == 100);
    CHECK(record.message == "Added");
    CHECK(record.attempts == 1);
    CHECK(record.worker == pool->name());
    CHECK(record.started.has_value());
    CHECK(record.finished.has_value());

    const auto news = told.all();
    REQUIRE(news.size() >= 3);
    CHECK(news.front().status == "started");
    CHECK(news.front().progress == 0);
    CHECK(news[1].status == "in_progress");
    CHECK(news[1].progress == 50);
    CHECK(news.back().status == "completed");
    CHECK(news.back().final);
    CHECK(news.back().result == value(5));

    REQUIRE(shop.layer.sent.wait([](const auto& sent) {
        return !sent.empty() && sent.back().what["status"].to_text() == "completed";
    }));
    const auto last = shop.layer.sent.all().back();
    CHECK(last.to == "sums");
    CHECK(last.what.type() == "progress_update");
    CHECK(last.what["progress"] == value(100));
    CHECK(last.what["message"] == value("Added"));
}

TEST_CASE(
    "progress goes out a few times a second, never goes back, and its last value always goes out") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    journal<job_update> told;
    auto options = remembering(told);
    options.progress_rate = 20;
    testing::gate seen;
    shop.registry.add(
        "count",
        [&](job_context& context, const job_arguments&) -> value {
            for (int i = 0; i <= 10'000; ++i)
                context.progress(i / 110, "counting");
            context.progress(3, "back");
            if (!seen.pass())
                throw std::runtime_error("the last progress was not told while the job ran");
            return nullptr;
        },
        options);
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto id = queue.enqueue("count", {}).value();
    // The handler is silent now: what it said last must come without its help.
    CHECK(told.wait([](const auto& all) {
        return !all.empty() && all.back().progress == 90 && all.back().message == "back";
    }));
    seen.open();
    CHECK(queue.wait(id, soon()).value().state == job_state::completed);
    std::int32_t highest = 0;
    for (const auto& news : told.all()) {
        CHECK(news.progress >= highest);
        highest = news.progress;
    }
    CHECK(told.all().size() < 100);
}

TEST_CASE("a running job hears of its cancel, also from another queue on the same folder") {
    testing::temporary_folder folder;
    workshop shop(folder.path()), office(folder.path());
    journal<job_update> told;
    testing::gate running;
    const job_handler endless = [&](job_context& context, const job_arguments&) -> value {
        running.open();
        while (context.wait_for(std::chrono::seconds(20))) {
        }
        context.throw_if_cancelled();
        return "not cancelled";
    };
    shop.registry.add("endless", endless, remembering(told));
    office.registry.add("endless", endless);
    auto& queue = shop.open();
    auto& elsewhere = office.open();
    auto pool = shop.pool();
    const auto id = elsewhere.enqueue("endless", {}).value();
    REQUIRE(running.pass());

    const auto asked = now();
    CHECK(elsewhere.cancel(id).value());
    const auto record = elsewhere.wait(id, soon()).value();
    CHECK(record.state == job_state::cancelled);
    CHECK(now() - asked < milliseconds(2'000)); // some 50 ms; the rest is for busy machines
    CHECK(statuses(told) == std::vector<std::string>{"started", "cancelled"});
    pool.reset();
    CHECK(shop.metric("carillon_jobs_cancelled_total") == 1);
    CHECK(queue.get(id).value()->state == job_state::cancelled);
}

TEST_CASE("a job that fails is tried again with the same id until its tries are used up") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    journal<job_update> told;
    auto options = remembering(told);
    options.attempts_max = 3;
    shop.registry.add(
        "poison",
        [](job_context& context, const job_arguments&) -> value {
            throw std::runtime_error("attempt " + std::to_string(context.attempt()) + " failed");
        },
        options);
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto id = queue.enqueue("poison", {}).value();
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error == "attempt 3 failed");
    CHECK(record.attempts == 3);
    CHECK(record.retries == 2);
    CHECK(statuses(told) == std::vector<std::string>{"started", "in_progress", "started",
                                                     "in_progress", "started", "failed"});
    pool.reset(); // counts follow the disk
    CHECK(shop.metric("carillon_jobs_retried_total") == 2);
    CHECK(shop.metric("carillon_jobs_failed_total") == 1);
}

TEST_CASE("a handler may choose when it is tried again, and its next try is a message with one "
          "more retry") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    std::atomic<int> runs{0};
    shop.registry.add("later", [&](job_context&, const job_arguments&) -> value {
        if (++runs == 1)
            throw retry_later(milliseconds(150), "the peer is away");
        return "there";
    });
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto begun = now();
    const auto id = queue.enqueue("later", {}).value();
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::completed);
    CHECK(record.retries == 1);
    CHECK(now() - begun >= milliseconds(150));
}

TEST_CASE("an error that no further try can mend fails at once") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("bad", [](job_context&, const job_arguments&) -> value {
        throw error(errc::unsupported_media, "this is no CSV");
    });
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto record = queue.wait(queue.enqueue("bad", {}).value(), soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.attempts == 1);
    CHECK(record.error == "this is no CSV");
}

TEST_CASE("delayed jobs wait in the store, expired ones are cancelled") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("known", [](job_context&, const job_arguments&) -> value { return nullptr; });
    auto& queue = shop.open();
    enqueue_options delayed, expired;
    delayed.countdown = milliseconds(200);
    expired.expires = utc_now() - std::chrono::seconds(1);
    const auto begun = now();
    const auto later = queue.enqueue("known", {}, delayed).value();
    const auto never = queue.enqueue("known", {}, expired).value();
    CHECK(queue.queues().value()[0].delayed == 1);
    auto pool = shop.pool();
    CHECK(queue.wait(later, soon()).value().state == job_state::completed);
    CHECK(now() - begun >= milliseconds(200));
    const auto record = queue.wait(never, soon()).value();
    CHECK(record.state == job_state::cancelled);
    CHECK(record.message == "Expired");
    CHECK(record.attempts == 0);
}

TEST_CASE("the soft time limit asks the handler to stop, and is a failure") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    job_options options;
    options.soft_time_limit = milliseconds(100);
    options.attempts_max = 1;
    shop.registry.add(
        "slow",
        [](job_context& context, const job_arguments&) -> value {
            context.wait_for(std::chrono::seconds(20));
            CHECK(context.stopping() == stop_reason::time_limit);
            context.throw_if_cancelled();
            return nullptr;
        },
        options);
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto record = queue.wait(queue.enqueue("slow", {}).value(), soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error == "the time limit of 0.1 s has passed");
}

TEST_CASE("a pool that stops hands its running jobs back uncounted, and the next one runs them") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate running;
    std::atomic<bool> patient{true};
    shop.registry.add("long", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        if (patient)
            context.wait_for(std::chrono::seconds(20));
        context.throw_if_cancelled();
        return "done";
    });
    auto& queue = shop.open();
    auto pool = shop.pool(1);
    const auto id = queue.enqueue("long", {}).value();
    const auto second = queue.enqueue("long", {}).value();
    REQUIRE(running.pass());
    const auto report = pool->stop(soon());
    CHECK(report.clean());
    CHECK(report.returned == 1);
    CHECK(report.finished == 0);
    CHECK(queue.get(id).value()->state == job_state::waiting);
    CHECK(queue.get(id).value()->attempts == 0);
    CHECK(queue.workers().value().empty());

    patient = false;
    pool = shop.pool(1);
    CHECK(queue.wait(id, soon()).value().attempts == 1);
    CHECK(queue.wait(second, soon()).value().state == job_state::completed);
}

TEST_CASE("a pool that stops with grace lets short jobs finish") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate running, finish;
    shop.registry.add("short", [&](job_context& context, const job_arguments&) -> value {
        running.open();
        finish.pass();
        return context.stop_requested() ? "hurried" : "in time";
    });
    auto& queue = shop.open();
    auto pool = shop.pool(1);
    const auto id = queue.enqueue("short", {}).value();
    REQUIRE(running.pass());
    std::thread releases([&] { finish.open(); });
    const auto report = pool->stop(soon(), soon());
    releases.join();
    CHECK(report.finished + report.returned <= 1);
    CHECK(report.clean());
    CHECK(queue.wait(id, soon()).value().result == value("in time"));
}

TEST_CASE("a handler that never looks at its context is abandoned at the deadline and said so") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate running, finish;
    shop.registry.add("deaf", [&](job_context&, const job_arguments&) -> value {
        running.open();
        finish.pass();
        return nullptr;
    });
    auto& queue = shop.open();
    auto pool = shop.pool(1);
    const auto id = queue.enqueue("deaf", {}).value();
    REQUIRE(running.pass());
    const auto report = pool->stop(now() + milliseconds(20));
    CHECK_FALSE(report.clean());
    CHECK(report.abandoned == 1);
    finish.open();
    pool.reset();
    CHECK(queue.get(id).value()->state == job_state::completed);
}

TEST_CASE(
    "the jobs of a worker whose process is gone return at once, and kill no more than they may") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    job_options options;
    options.losses_max = 2;
    std::atomic<int> runs{0};
    shop.registry.add(
        "deadly", [&](job_context&, const job_arguments&) -> value { return ++runs; }, options);
    auto& queue = shop.open();
    auto& store = testing::stored(queue);
    const auto id = queue.enqueue("deadly", {}).value();
    const std::vector<std::string> queues{"celery"};
    worker_info dead;
    dead.name = "dead";
    dead.started = utc_now();
    // A store that closes lets go of the locks of its workers, as a process that dies does.
    const auto die_with_a_job = [&](const char* uuid) {
        job_queue_options other_options;
        other_options.data_dir = folder.path();
        auto other = jobs::embedded_store::open(other_options, shop.registry, silent_log()).value();
        dead.id = uuid;
        const auto owner = other->add_worker(dead, std::chrono::hours(1)).value();
        REQUIRE(other->claim(owner, queues, 1, 0).value().size() == 1);
        return owner;
    };
    die_with_a_job("dead-0");
    {
        auto pool = shop.pool();
        CHECK(queue.wait(id, soon()).value().state == job_state::completed);
    }
    CHECK(queue.get(id).value()->attempts == 2);
    CHECK(queue.get(id).value()->losses == 1);
    CHECK(shop.metric("carillon_jobs_lost_total") == 1);
    CHECK(runs == 1);

    const auto poison = queue.enqueue("deadly", {}).value();
    CHECK(store.bury(die_with_a_job("dead-1"), "its worker died").value() == 1);
    CHECK_FALSE(queue.get(poison).value()->eta.has_value());
    CHECK(store.bury(die_with_a_job("dead-2"), "its worker died").value() == 1);
    CHECK(queue.get(poison).value()->eta.has_value()); // the second loss makes it wait
    auto pool = shop.pool();
    const auto record = queue.wait(poison, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error == "2 workers died while they ran this job");
    CHECK(record.attempts == 2);
    CHECK(runs == 1);
}

TEST_CASE("a worker that stood still loses its job, and what it does later changes nothing") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate running, finish;
    journal<stop_reason> reasons;
    shop.registry.add("slow", [&](job_context& context, const job_arguments&) -> value {
        const bool first = context.attempt() == 1;
        running.open();
        if (first) {
            context.wait_for(std::chrono::seconds(20));
            reasons.add(context.stopping());
        }
        return first ? "of the first" : "of the second";
    });
    auto& queue = shop.open();
    auto pool = shop.pool(2);
    const auto id = queue.enqueue("slow", {}).value();
    REQUIRE(running.pass());
    // What another process does when the heartbeats of this one stay away.
    auto& store = testing::stored(queue);
    const auto rows = store.worker_rows().value();
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].shown.answering);
    CHECK(store.bury(rows[0].seq, "its worker stood still longer than its lease").value() == 1);

    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::completed);
    CHECK(record.result == value("of the second"));
    CHECK(record.attempts == 2);
    REQUIRE(reasons.wait_count(1));
    CHECK(reasons.all()[0] == stop_reason::lost);
}

TEST_CASE("an observer that cannot record the end makes the job run again") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    std::atomic<int> ends{0};
    job_options options;
    options.retry_delay = milliseconds(1);
    options.observer = [&](const job_update& news) {
        if (news.final && ++ends == 1)
            throw std::runtime_error("the database is locked");
    };
    shop.registry.add(
        "known", [](job_context&, const job_arguments&) -> value { return 1; }, options);
    auto& queue = shop.open();
    auto pool = shop.pool();
    const auto record = queue.wait(queue.enqueue("known", {}).value(), soon()).value();
    CHECK(record.state == job_state::completed);
    CHECK(record.attempts == 2);
    CHECK(ends == 2);
}

TEST_CASE("a pool serves its queues and no other, the urgent job first") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    journal<std::string> order;
    shop.registry.add("note", [&](job_context&, const job_arguments& arguments) -> value {
        order.add(std::string(arguments.get(0, "name").to_text()));
        return nullptr;
    });
    auto& queue = shop.open();
    enqueue_options other, urgent;
    other.queue = "other";
    urgent.priority = 9;
    const auto untouched = queue.enqueue("note", {array{"other"}}, other).value();
    queue.enqueue("note", {array{"first"}}).value();
    queue.enqueue("note", {array{"second"}}).value();
    queue.enqueue("note", {array{"urgent"}}, urgent).value();
    auto pool = shop.pool(1);
    REQUIRE(order.wait_count(3));
    CHECK(order.all() == std::vector<std::string>{"urgent", "first", "second"});
    CHECK(queue.get(untouched).value()->state == job_state::waiting);
}

TEST_CASE("thousands of short jobs each run once, and are counted once") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    constexpr int jobs_in_all = 3'000;
    std::vector<std::atomic<int>> runs(jobs_in_all);
    shop.registry.add("short", [&](job_context&, const job_arguments& arguments) -> value {
        ++runs[static_cast<std::size_t>(arguments.get(0, "i").to_int())];
        return nullptr;
    });
    auto& queue = shop.open();
    journal<bool> accepted;
    for (int i = 0; i < jobs_in_all; ++i)
        queue.enqueue("short", {array{i}}, {},
                      [&](result<std::string> id) { accepted.add(id.has_value()); });
    REQUIRE(accepted.wait_count(jobs_in_all));
    // A lease that no sanitizer outlasts: a worker that is thought dead would have its jobs run twice.
    auto pool = shop.pool(3, std::chrono::minutes(1));
    auto second = shop.pool(2, std::chrono::minutes(1));
    for (;;) {
        const auto seen = testing::stored(queue).epoch();
        if (queue.queues().value()[0].completed == jobs_in_all)
            break;
        testing::stored(queue).wait_for_change(seen, soon());
    }
    for (const auto& each : runs)
        CHECK(each.load() == 1);
    job_filter filter;
    filter.limit = 1'000;
    for (filter.offset = 0; filter.offset < jobs_in_all; filter.offset += filter.limit)
        for (const auto& record : queue.list(filter).value())
            CHECK(record.attempts == 1);
    CHECK(pool->processed() + second->processed() == jobs_in_all);
}

TEST_CASE("a stored message that cannot be read, or names an unknown task, fails without harm to "
          "the next job") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("known", [](job_context&, const job_arguments&) -> value { return 1; });
    auto& queue = shop.open();
    auto& store = testing::stored(queue);
    for (const auto* task : {"known", "of.another.program"}) {
        jobs::new_job job;
        job.queue = "celery";
        job.message.task = task;
        job.message.id = job.message.task == "known" ? "damaged" : "foreign";
        journal<bool> written;
        store.add(job, [&](const result<std::string>& id) { written.add(id.has_value()); });
        REQUIRE(written.wait_count(1));
        REQUIRE(written.all()[0]);
    }
    {
        auto file = db::sqlite::connection::open(folder.path() / "queue.db", {}).value();
        REQUIRE(file.execute("UPDATE messages SET body = '{' WHERE seq = "
                             "(SELECT seq FROM jobs WHERE id = 'damaged')",
                             {})
                    .value() == 1);
    }
    auto pool = shop.pool(1);
    const auto good = queue.enqueue("known", {}).value();
    CHECK(queue.wait(good, soon()).value().state == job_state::completed);
    const auto unread = queue.wait("damaged", soon()).value();
    CHECK(unread.state == job_state::failed);
    CHECK(unread.error.starts_with("the stored message cannot be read: "));
    CHECK(unread.attempts == 0);
    CHECK(queue.wait("foreign", soon()).value().error ==
          "no task is registered as `of.another.program`");
}

TEST_CASE("a worker shows itself to those who inspect") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("known", [](job_context&, const job_arguments&) -> value { return nullptr; });
    auto& queue = shop.open();
    worker_options options;
    options.name = "w1@%n";
    options.queues = {"celery", "slow"};
    options.threads = 3;
    auto pool = worker_pool::start(queue, options).value();
    const auto workers = queue.workers().value();
    REQUIRE(workers.size() == 1);
    CHECK(workers[0].name == pool->name());
    CHECK(workers[0].queues == options.queues);
    CHECK(workers[0].threads == 3);
    CHECK(workers[0].registered == std::vector<std::string>{"known"});
    CHECK(workers[0].answering);
}

TEST_CASE("a pool with impossible options is refused") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    auto& queue = shop.open();
    worker_options options;
    options.threads = 0;
    CHECK(worker_pool::start(queue, options).error().code == errc::invalid);
    options = {};
    options.queues.clear();
    CHECK(worker_pool::start(queue, options).error().code == errc::invalid);
    options = {};
    options.lease = milliseconds(10);
    CHECK(worker_pool::start(queue, options).error().code == errc::invalid);
}

TEST_CASE("the name of a worker has Celery's marks") {
    CHECK(jobs::worker_name("celery@%h", "box.example.org") == "celery@box.example.org");
    CHECK(jobs::worker_name("w1@%n", "box.example.org") == "w1@box");
    CHECK(jobs::worker_name("w1@%d", "box.example.org") == "w1@example.org");
    CHECK(jobs::worker_name("w1@%d", "box") == "w1@");
    CHECK(jobs::worker_name("w1", "box") == "w1@box");
    CHECK(jobs::worker_name("50%%@%h%", "box") == "50%@box%");
}

} // namespace carillon
