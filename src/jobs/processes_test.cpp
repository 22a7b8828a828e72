// Jobs across processes, and what kill -9 does to them. The test program starts itself again as the other process,
// with one of the test cases that are skipped otherwise.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include <doctest/doctest.h>

#include "channels/file_lock.hpp"
#include "jobs/test_support.hpp"

namespace carillon {

using std::chrono::milliseconds;
using testing::soon;
using testing::workshop;

namespace {

constexpr const char* folder_variable = "CARILLON_TEST_DATA_DIR";

// Another process of this program that runs one test case. Killed at the end, if not before.
class other_process {
public:
    other_process(const char* test_case, const std::filesystem::path& folder) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        output_ = ends[0];
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        std::string pick = std::string("--test-case=") + test_case;
        std::string program = "test_jobs", no_skip = "--no-skip", where = folder_variable;
        where += "=" + folder.string();
        char* arguments[] = {program.data(), no_skip.data(), pick.data(), nullptr};
        std::vector<char*> environment{where.data()};
        for (char** each = environ; *each; ++each)
            environment.push_back(*each);
        environment.push_back(nullptr);
        const int failed = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments,
                                         environment.data());
        posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        REQUIRE(failed == 0);
    }
    ~other_process() {
        kill();
        ::close(output_);
    }
    other_process(const other_process&) = delete;
    other_process& operator=(const other_process&) = delete;

    void kill() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    // The next line it prints that begins with `mark`, without the mark; empty at its end.
    std::string line(std::string_view mark) {
        for (;;) {
            const auto end = unread_.find('\n');
            if (end == std::string::npos) {
                char block[4096];
                const auto n = ::read(output_, block, sizeof block);
                if (n <= 0)
                    return {};
                unread_.append(block, static_cast<std::size_t>(n));
                continue;
            }
            std::string text = unread_.substr(0, end);
            unread_.erase(0, end + 1);
            if (text.starts_with(mark))
                return text.substr(mark.size());
        }
    }

private:
    pid_t pid_ = 0;
    int output_ = -1;
    std::string unread_;
};

void say(const std::string& text) {
    const auto line = text + "\n";
    REQUIRE(::write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
}

std::filesystem::path own_folder() {
    const char* folder = ::getenv(folder_variable);
    REQUIRE(folder != nullptr);
    return folder;
}

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
    MESSAGE("three cases are skipped: those named process are the child processes of the others");
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
