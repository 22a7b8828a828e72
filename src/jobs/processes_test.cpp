// Jobs across processes, and what kill -9 does to them. The test program starts itself again as the other process,
// with one of the test cases that are skipped otherwise.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include <doctest/doctest.h>

#include "channels/file_lock.hpp"
#include "jobs/test_process.hpp"
#include "jobs/test_support.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::other_process;
using testing::say;
using testing::soon;
using testing::workshop;

namespace {

std::filesystem::path own_folder() { return testing::told_by_parent(); }

// Writes down that a run began, in a way that survives kill -9.
void note_run(const std::filesystem::path& folder, const std::string& id) {
    const int file =
        ::open((folder / "runs").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const auto line = id + "\n";
    const bool written =
        ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    ::close(file);
    if (!written)
        throw error(errc::unavailable, "a run could not be noted");
}

std::map<std::string, int> noted_runs(const std::filesystem::path& folder) {
    std::ifstream file(folder / "runs");
    std::map<std::string, int> runs;
    for (std::string id; std::getline(file, id);)
        ++runs[id];
    return runs;
}

void add_tasks(workshop& shop, const std::filesystem::path& folder) {
    shop.registry.add("steps",
                      [folder](job_context& context, const job_arguments& arguments) -> value {
                          note_run(folder, context.id());
                          const auto steps = static_cast<int>(arguments.get(0, "steps").to_int());
                          for (int i = 1; i <= steps; ++i) {
                              if (!context.wait_for(milliseconds(10)))
                                  context.throw_if_cancelled();
                              context.progress(100 * i / steps);
                          }
                          return steps;
                      });
    shop.registry.add("endless", [folder](job_context& context, const job_arguments&) -> value {
        note_run(folder, context.id());
        while (context.wait_for(std::chrono::seconds(20))) {
        }
        context.throw_if_cancelled();
        return nullptr;
    });
}

} // namespace

TEST_CASE("process: a worker that works until it is killed" * doctest::skip()) {
    workshop shop(own_folder());
    add_tasks(shop, shop.data_dir);
    shop.open();
    auto pool = shop.pool(2);
    say("ready");
    ::pause();
}

TEST_CASE("process: a client that enqueues until it is killed" * doctest::skip()) {
    workshop shop(own_folder());
    add_tasks(shop, shop.data_dir);
    auto& queue = shop.open();
    for (;;)
        say("id " + queue.enqueue("steps", {array{1}}).value());
}

TEST_CASE("process: a holder of the data folder until it is killed" * doctest::skip()) {
    auto held = data_dir_lock::take(own_folder()).value();
    say("ready");
    ::pause();
    (void)held;
}

TEST_CASE("every job whose id was given is there after kill -9 of the one who enqueued it") {
    MESSAGE("cases named process are skipped here: they are the child processes of the others");
    testing::temporary_folder folder;
    std::vector<std::string> given;
    {
        other_process client("process: a client that enqueues until it is killed", folder.path());
        for (int i = 0; i < 100; ++i)
            given.push_back(client.line("id "));
        client.kill();
        for (auto id = client.line("id "); id.size() == 36; id = client.line("id "))
            given.push_back(id);
    }
    workshop shop(folder.path());
    add_tasks(shop, shop.data_dir);
    auto& queue = shop.open();
    for (const auto& id : given) {
        const auto record = queue.get(id).value();
        REQUIRE(record.has_value());
        CHECK(record->state == job_state::waiting);
    }
}

TEST_CASE("jobs of a worker that is killed run again at once elsewhere") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop, shop.data_dir);
    auto& queue = shop.open();
    other_process worker("process: a worker that works until it is killed", folder.path());
    REQUIRE(worker.line("ready") == "");
    const auto id = queue.enqueue("endless", {}).value();
    while (noted_runs(folder.path()).empty()) {
        const auto seen = testing::stored(queue).epoch();
        testing::stored(queue).wait_for_change(seen, now() + milliseconds(20));
    }
    const auto workers = queue.workers().value();
    REQUIRE(workers.size() == 1);
    CHECK(workers[0].answering);
    worker.kill();
    CHECK_FALSE(queue.workers().value()[0].answering);

    const auto killed = now();
    worker_options options;
    options.lease = std::chrono::minutes(
        10); // not the lease brings it back, but the lock that died with its holder
    auto pool = worker_pool::start(queue, options).value();
    for (;;) {
        const auto seen = testing::stored(queue).epoch();
        if (noted_runs(folder.path())[id] == 2)
            break;
        REQUIRE(now() - killed < std::chrono::seconds(20));
        testing::stored(queue).wait_for_change(seen, now() + milliseconds(20));
    }
    CHECK(now() - killed < std::chrono::seconds(3));
    CHECK(queue.cancel(id).value());
    const auto record = queue.wait(id, soon()).value();
    CHECK(record.state == job_state::cancelled);
    CHECK(record.attempts == 2);
    CHECK(record.losses == 1);
}

TEST_CASE("the place of a job whose worker is killed is free at once, and never taken twice") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop, shop.data_dir);
    auto& queue = shop.open();
    const char* const worker = "process: a worker that works until it is killed";
    enqueue_options one_at_a_time;
    one_at_a_time.concurrency_key = "k";
    one_at_a_time.concurrency_max = 1;
    const auto first = queue.enqueue("endless", {}, one_at_a_time).value();
    const auto second = queue.enqueue("endless", {}, one_at_a_time).value();
    const auto runs = [&] {
        int all = 0;
        for (const auto& [id, times] : noted_runs(folder.path()))
            all += times;
        return all;
    };
    const auto wait_for_runs = [&](int wanted) {
        const auto limit = soon();
        while (runs() < wanted && now() < limit)
            testing::stored(queue).wait_for_change(testing::stored(queue).epoch(),
                                                   now() + milliseconds(20));
        CHECK(runs() == wanted);
    };
    other_process killed(worker, folder.path()), other(worker, folder.path());
    REQUIRE(killed.line("ready") == "");
    REQUIRE(other.line("ready") == "");
    wait_for_runs(1);
    other.kill();
    killed.kill(); // one of them held the place
    other_process last(worker, folder.path());
    REQUIRE(last.line("ready") == "");
    wait_for_runs(2);
    CHECK(queue.cancel(first).value());
    CHECK(queue.wait(first, soon()).value().state == job_state::cancelled);
    wait_for_runs(3);
    CHECK(noted_runs(folder.path())[second] == 1);
    CHECK(queue.cancel(second).value());
    CHECK(queue.wait(second, soon()).value().state == job_state::cancelled);
}

TEST_CASE("a job that runs in another process is cancelled from this one") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop, shop.data_dir);
    auto& queue = shop.open();
    other_process worker("process: a worker that works until it is killed", folder.path());
    REQUIRE(worker.line("ready") == "");
    const auto id = queue.enqueue("endless", {}).value();
    while (noted_runs(folder.path()).empty()) {
        const auto seen = testing::stored(queue).epoch();
        testing::stored(queue).wait_for_change(seen, now() + milliseconds(20));
    }
    const auto asked = now();
    CHECK(queue.cancel(id).value());
    CHECK(queue.wait(id, soon()).value().state == job_state::cancelled);
    const auto took = std::chrono::duration_cast<milliseconds>(now() - asked).count();
    CHECK(took < 2'000);
    MESSAGE("cancel across processes took ", took, " ms");
}

TEST_CASE("no job is lost or stuck while workers are killed again and again") {
    testing::temporary_folder folder;
    workshop shop(folder.path());
    add_tasks(shop, shop.data_dir);
    auto& queue = shop.open();
    constexpr int jobs_in_all = 60, kills = 8;
    const char* const worker = "process: a worker that works until it is killed";
    std::vector<std::string> ids;
    for (int i = 0; i < jobs_in_all; ++i)
        ids.push_back(queue.enqueue("steps", {array{15}}).value());
    std::vector<std::unique_ptr<other_process>> workers;
    for (int i = 0; i < 2; ++i)
        workers.push_back(std::make_unique<other_process>(worker, folder.path()));
    for (auto& each : workers)
        REQUIRE(each->line("ready") == "");
    for (int i = 0; i < kills; ++i) {
        // The next one dies when some more runs have begun: in the middle of them.
        const auto so_far = noted_runs(folder.path());
        const auto limit = soon();
        while (noted_runs(folder.path()).size() <
               std::min<std::size_t>(so_far.size() + 3, ids.size())) {
            REQUIRE(now() < limit);
            testing::stored(queue).wait_for_change(testing::stored(queue).epoch(),
                                                   now() + milliseconds(20));
        }
        auto& victim = workers[static_cast<std::size_t>(i) % workers.size()];
        victim->kill();
        victim = std::make_unique<other_process>(worker, folder.path());
        REQUIRE(victim->line("ready") == "");
    }
    const auto noted_in_time = soon(std::chrono::seconds(60));
    int twice = 0;
    std::uint32_t losses = 0;
    std::map<std::string, std::uint32_t> attempts;
    for (const auto& id : ids) {
        const auto record = queue.wait(id, noted_in_time).value();
        CHECK(record.state == job_state::completed);
        CHECK(record.result == value(15));
        attempts[id] = record.attempts;
        twice += record.attempts > 1;
        losses += record.losses;
    }
    // Every run that began had been counted before.
    for (const auto& [id, runs] : noted_runs(folder.path()))
        CHECK(static_cast<std::uint32_t>(runs) <= attempts[id]);
    CHECK(losses >= 1);
    MESSAGE(kills, " kills, ", twice, " of ", jobs_in_all, " jobs ran more than once");
}

TEST_CASE("a data folder has one live server, and none that is dead") {
    testing::temporary_folder folder;
    other_process holder("process: a holder of the data folder until it is killed", folder.path());
    REQUIRE(holder.line("ready") == "");
    auto refused = data_dir_lock::take(folder.path());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::conflict);
    CHECK(refused.error().message.find("process ") != std::string::npos);
    holder.kill();
    CHECK(data_dir_lock::take(folder.path()));
}

} // namespace carillon
