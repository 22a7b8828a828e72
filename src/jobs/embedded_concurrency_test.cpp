// Concurrency limits in the embedded queue: per key and per queue, over several workers.
#include <atomic>

#include <doctest/doctest.h>

#include "jobs/test_support.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::soon;
using testing::workshop;

namespace {

// How many handlers are inside at once, and were at most.
class meter {
public:
    struct inside {
        explicit inside(meter& of) : of_(of) {
            const auto n = ++of_.now_;
            auto seen = of_.peak_.load();
            while (n > seen && !of_.peak_.compare_exchange_weak(seen, n)) {
            }
        }
        ~inside() { --of_.now_; }
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;
        meter& of_;
    };
    int present() const { return now_; }
    int peak() const { return peak_; }

private:
    std::atomic<int> now_{0}, peak_{0};
};

enqueue_options keyed(std::string key, std::uint32_t max) {
    enqueue_options options;
    options.concurrency_key = std::move(key);
    options.concurrency_max = max;
    return options;
}

// Two workers with stores of their own on one folder, as two processes have them.
struct two_workers {
    explicit two_workers(const std::filesystem::path& folder) : first(folder), second(folder) {}
    void add(const char* task, const job_handler& run, const job_options& options = {}) {
        first.registry.add(task, run, options);
        second.registry.add(task, run, options);
    }
    job_queue& open(std::map<std::string, std::uint32_t> limits = {}) {
        job_queue_options options;
        options.data_dir = first.data_dir;
        options.poll_interval = milliseconds(5);
        options.queue_limits = std::move(limits);
        second.open(options);
        return first.open(options);
    }
    void work(std::vector<std::string> queues = {"celery"}) {
        worker_options options;
        options.threads = 3;
        options.queues = std::move(queues);
        one = worker_pool::start(*first.queue, options).value();
        other = worker_pool::start(*second.queue, options).value();
    }
    workshop first, second;
    std::unique_ptr<worker_pool> one, other;
};

void check_all_done(job_queue& queue, const std::vector<std::string>& ids) {
    for (const auto& id : ids)
        CHECK(queue.wait(id, soon()).value().state == job_state::completed);
}

} // namespace

TEST_CASE("jobs with one key run no more at once than their limit, over two workers") {
    for (const int limit : {1, 2}) {
        CAPTURE(limit);
        testing::temporary_folder folder;
        two_workers both(folder.path());
        meter inside;
        std::atomic<bool> reached{false};
        both.add("limited", [&](job_context& context, const job_arguments&) -> value {
            meter::inside here(inside);
            // The first ones stay until there are as many as may be.
            while (!reached && context.wait_for(milliseconds(1)))
                if (inside.present() >= limit)
                    reached = true;
            context.wait_for(milliseconds(2));
            return nullptr;
        });
        auto& queue = both.open();
        std::vector<std::string> ids;
        for (int i = 0; i < 60; ++i)
            ids.push_back(
                queue.enqueue("limited", {}, keyed("k", static_cast<std::uint32_t>(limit)))
                    .value());
        both.work();
        check_all_done(queue, ids);
        CHECK(inside.peak() == limit);
    }
}

TEST_CASE("a job that waits for a place holds no thread and stops nobody behind it") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate finish;
    shop.registry.add("held", [&](job_context&, const job_arguments&) -> value {
        finish.pass();
        return nullptr;
    });
    shop.registry.add("free", [](job_context&, const job_arguments&) -> value { return 1; });
    auto& queue = shop.open();
    std::vector<std::string> held;
    for (int i = 0; i < 1'500; ++i)
        // Told in order: all of them before the next enqueue() returns.
        queue.enqueue("held", {}, keyed("k", 1), [&](const auto& id) { held.push_back(*id); });
    const auto free = queue.enqueue("free", {}).value();
    auto pool = shop.pool(2);
    CHECK(queue.wait(free, soon()).value().state == job_state::completed);
    CHECK(queue.get(held.back()).value()->state == job_state::waiting);
    CHECK(queue.queues().value().front().waiting >= 1'490);
    // One that comes later has to wait, too, and one of those can be cancelled.
    const auto later = queue.enqueue("held", {}, keyed("k", 1)).value();
    CHECK(queue.cancel(later).value());
    CHECK(queue.get(later).value()->state == job_state::cancelled);
    finish.open();
    check_all_done(queue, {held.begin(), held.begin() + 100});
}

TEST_CASE("a place goes to the job of the highest priority that waited longest") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    testing::gate begin;
    testing::journal<std::int64_t> order;
    shop.registry.add("first", [&](job_context&, const job_arguments&) -> value {
        begin.pass();
        return nullptr;
    });
    shop.registry.add("note", [&](job_context&, const job_arguments& a) -> value {
        order.add(a.get(0, "n").to_int());
        return nullptr;
    });
    auto& queue = shop.open();
    auto pool = shop.pool(4);
    queue.enqueue("first", {}, keyed("k", 1)).value();
    std::vector<std::string> ids;
    for (const int n : {3, 1, 4, 2}) {
        auto options = keyed("k", 1);
        options.priority = n < 3 ? 9 : 0;
        ids.push_back(queue.enqueue("note", {array{n}}, options).value());
    }
    begin.open();
    check_all_done(queue, ids);
    CHECK(order.all() == std::vector<std::int64_t>{1, 2, 3, 4});
}

TEST_CASE("a key is shared by queues, also by one that nobody works on") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    meter inside;
    shop.registry.add("limited", [&](job_context& context, const job_arguments&) -> value {
        meter::inside here(inside);
        context.wait_for(milliseconds(2));
        return nullptr;
    });
    auto& queue = shop.open();
    std::vector<std::string> ids;
    for (int i = 0; i < 30; ++i) {
        auto options = keyed("k", 1);
        options.queue = i % 3 == 0 ? "nobody" : i % 3 == 1 ? "one" : "two";
        const auto id = queue.enqueue("limited", {}, options).value();
        if (i % 3 != 0)
            ids.push_back(id);
    }
    worker_options options;
    options.threads = 3;
    options.queues = {"one", "two"};
    auto pool = worker_pool::start(queue, options).value();
    check_all_done(queue, ids);
    CHECK(inside.peak() == 1);
}

TEST_CASE("a job that waits for its next try or goes back to its queue has no place") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    job_options options;
    options.concurrency_max = 1; // the key is the name of the task
    options.retry_delay = std::chrono::seconds(60);
    options.retry_jitter = false;
    shop.registry.add(
        "limited",
        [](job_context& context, const job_arguments& a) -> value {
            if (a.get(0, "what") == value("fail"))
                throw std::runtime_error("not yet");
            if (a.get(0, "what") == value("stay")) {
                context.wait_for(std::chrono::seconds(20));
                context.throw_if_cancelled();
            }
            return nullptr;
        },
        options);
    auto& queue = shop.open();
    auto pool = shop.pool(2);
    queue.enqueue("limited", {array{"fail"}}).value();
    const auto after = queue.enqueue("limited", {array{"end"}}).value();
    CHECK(queue.wait(after, soon()).value().state == job_state::completed);
    enqueue_options urgent;
    urgent.priority = 9;
    const auto stays = queue.enqueue("limited", {array{"stay"}}).value();
    while (queue.get(stays).value()->state != job_state::running)
        std::this_thread::yield();
    const auto next = queue.enqueue("limited", {array{"end"}}, urgent).value();
    CHECK(pool->stop(soon()).returned == 1);
    pool = shop.pool(2);
    CHECK(queue.wait(next, soon()).value().state == job_state::completed);
}

TEST_CASE("a job that is given back and taken again in one commit leaves its place at its end") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("limited", [](job_context&, const job_arguments&) -> value { return 1; });
    auto& queue = shop.open();
    const auto first = queue.enqueue("limited", {}, keyed("k", 1)).value();
    const auto second = queue.enqueue("limited", {}, keyed("k", 1)).value();
    auto& store = testing::stored(queue);
    worker_info me;
    me.id = "00000000-0000-4000-8000-000000000001";
    me.started = utc_now();
    const auto owner = store.add_worker(me, std::chrono::seconds(10)).value();
    const std::vector<std::string> queues{"celery"};
    auto taken = store.claim(owner, queues, 2, 0).value();
    REQUIRE(taken.size() == 1);
    CHECK(taken.front().id == first);
    enqueue_options elsewhere;
    elsewhere.queue = "elsewhere";
    queue.enqueue("limited", {}, elsewhere).value(); // so that there is something to claim
    for (int i = 0; i < 100; ++i)                    // so that what follows shares a commit
        queue.enqueue("limited", {}, elsewhere, [](const auto&) {});
    store.give_back(owner, {{taken.front().seq, true}});
    const std::vector<std::string> all{"celery", "elsewhere"};
    taken = store.claim(owner, all, 200, 0).value();
    std::erase_if(taken, [&](const auto& each) { return each.queue != "celery"; });
    REQUIRE(taken.size() == 1);
    CHECK(taken.front().id == first);
    taken.front().read();
    jobs::run_end end;
    end.job = {taken.front().seq, true, taken.front().limited};
    end.owner = owner;
    end.of = *taken.front().message;
    testing::gate ended;
    store.end_run(std::move(end), [&](bool held) {
        CHECK(held);
        ended.open();
    });
    REQUIRE(ended.pass());
    taken = store.claim(owner, queues, 2, 0).value();
    REQUIRE(taken.size() == 1);
    CHECK(taken.front().id == second);
    CHECK(store.remove_worker(owner, "the test is over"));
}

TEST_CASE("so many jobs of a queue run at once as its limit says, over two workers") {
    testing::temporary_folder folder;
    two_workers both(folder.path());
    meter reports, others;
    std::atomic<bool> reached{false};
    both.add("report", [&](job_context& context, const job_arguments&) -> value {
        meter::inside here(reports);
        while (!reached && context.wait_for(milliseconds(1)))
            if (reports.present() == 2 && others.present() == 3)
                reached = true;
        context.wait_for(milliseconds(2));
        return nullptr;
    });
    both.add("other", [&](job_context& context, const job_arguments&) -> value {
        meter::inside here(others);
        while (!reached && context.wait_for(milliseconds(1))) {
        }
        return nullptr;
    });
    auto& queue = both.open({{"reports", 2}});
    std::vector<std::string> ids;
    for (int i = 0; i < 33; ++i) {
        enqueue_options options;
        options.queue = i < 30 ? "reports" : "others";
        ids.push_back(queue.enqueue(i < 30 ? "report" : "other", {}, options).value());
    }
    both.work({"reports", "others"});
    check_all_done(queue, ids);
    CHECK(reports.peak() == 2);
}

TEST_CASE("a limit that means nothing is refused with a reason") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    shop.registry.add("plain", [](job_context&, const job_arguments&) -> value { return 1; });
    auto& queue = shop.open();
    const auto refused = [&](const enqueue_options& options) {
        const auto id = queue.enqueue("plain", {}, options);
        REQUIRE_FALSE(id);
        CHECK(id.error().code == errc::invalid);
        return id.error().message;
    };
    CHECK(refused(keyed("k", 0)).find("needs a limit") != std::string::npos);
    refused(keyed(std::string(256, 'k'), 1));
    refused(keyed("k", 2'000'000));
    job_queue_options options;
    options.data_dir = folder.path();
    options.queue_limits = {{"celery", 0}};
    CHECK(job_queue::open(options, {shop.registry}).error().code == errc::invalid);
}

} // namespace carillon
