#include <carillon/db/database.hpp>

#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include <doctest/doctest.h>

#include "db/test_folder.hpp"

namespace carillon::db {

using testing::folder;

TEST_CASE("values come back as they were stored") {
    folder data;
    auto database = database::open(data.url()).value();
    database->execute("CREATE TABLE t (a, b, c, d, e, f, g)").value();
    const bytes blob{std::byte{0}, std::byte{255}};
    const std::string text("a\0b", 3);
    CHECK(database
              ->execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)",
                        {nullptr, true, INT64_MIN, 0.5, text, blob, array{1, object{{"x", "é"}}}})
              .value() == 1);
    const auto found = database->query("SELECT * FROM t").value();
    REQUIRE(found.size() == 1);
    const auto& first = found[0];
    CHECK(first["a"].is_null());
    CHECK(first["b"] == value(1));
    CHECK(first["c"] == value(INT64_MIN));
    CHECK(first["d"] == value(0.5));
    CHECK(first["e"] == value(text));
    CHECK(first["f"] == value(blob));
    CHECK(first["g"] == value(R"([1,{"x":"é"}])"));
    CHECK(first["h"].is_null());
    CHECK(first.columns()[6] == "g");
}

TEST_CASE("the file is private, in WAL mode and with foreign keys") {
    folder data;
    auto database = database::open(data.url()).value();
    CHECK(database->query("PRAGMA journal_mode").value()[0].at(0) == value("wal"));
    CHECK(database->query("PRAGMA foreign_keys").value()[0].at(0) == value(1));
    struct stat file {};
    REQUIRE(::stat((data.path / "test.db").c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == 0600);
    CHECK(database->ping());
}

TEST_CASE("failures say what is wrong in our words") {
    folder data;
    auto database = database::open(data.url()).value();
    database->execute("CREATE TABLE t (id integer PRIMARY KEY, name text NOT NULL)").value();
    database->execute("INSERT INTO t VALUES (1, 'x')").value();
    CHECK(database->execute("INSERT INTO t VALUES (1, 'y')").error().code == errc::conflict);
    CHECK(database->execute("INSERT INTO t VALUES (2, NULL)").error().code == errc::conflict);
    CHECK(database->execute("INSERT INTO t VALUES (?, ?)", {1}).error().code == errc::invalid);
    CHECK(database->query("SELECT nothing FROM t").error().code == errc::invalid);
    CHECK(database->query("SELECT 1; SELECT 2").error().code == errc::invalid);
    CHECK(database->query("").error().code == errc::invalid);
    CHECK(database->query("SELECT ?", {UINT64_MAX}).error().code == errc::invalid);
    CHECK(database::open("mysql://x").error().code == errc::invalid);
    CHECK(database::open("sqlite:").error().code == errc::invalid);
    CHECK(database::open("sqlite::memory:").error().code == errc::invalid);
    CHECK(database::open("sqlite:/nowhere/at/all.db").error().code == errc::unavailable);
}

TEST_CASE("a file that is no database is refused as corrupt") {
    folder data;
    data.write("test.db", std::string(8'192, 'x'));
    auto opened = database::open(data.url());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::corrupt);
}

TEST_CASE("a transaction happens whole or not at all") {
    folder data;
    auto database = database::open(data.url()).value();
    database->execute("CREATE TABLE t (n integer)").value();
    {
        auto kept = database->begin().value();
        kept.execute("INSERT INTO t VALUES (1)").value();
        CHECK(kept.query("SELECT COUNT(*) FROM t").value()[0].at(0) == value(1));
        CHECK(database->query("SELECT COUNT(*) FROM t").value()[0].at(0) == value(0));
        kept.commit().value();
    }
    {
        auto dropped = database->begin().value();
        dropped.execute("INSERT INTO t VALUES (2)").value();
    }
    auto undone = database->begin().value();
    undone.execute("INSERT INTO t VALUES (3)").value();
    undone.rollback();
    CHECK(database->query("SELECT n FROM t").value().size() == 1);
}

TEST_CASE("a statement that changes and answers runs on the writing connection") {
    folder data;
    auto database = database::open(data.url()).value();
    database->execute("CREATE TABLE t (id integer PRIMARY KEY AUTOINCREMENT, n integer)").value();
    CHECK(database->query("INSERT INTO t (n) VALUES (5) RETURNING id").value()[0].at(0) ==
          value(1));
    CHECK(database->execute("UPDATE t SET n = 6").value() == 1);
    CHECK(database->execute("DELETE FROM t WHERE n = 7").value() == 0);
}

TEST_CASE("a query that was run before sees a column that was added since") {
    folder data;
    auto database = database::open(data.url()).value();
    database->execute("CREATE TABLE t (a integer)").value();
    database->execute("INSERT INTO t VALUES (1)").value();
    CHECK(database->query("SELECT * FROM t").value()[0].size() == 1);
    database->execute("ALTER TABLE t ADD COLUMN b integer DEFAULT 2").value();
    const auto found = database->query("SELECT * FROM t").value();
    CHECK(found[0].columns().size() == 2);
    CHECK(found[0]["b"] == value(2));
}

TEST_CASE("many threads read and write one database") {
    folder data;
    auto database = database::open(data.url()).value();
    database->execute("CREATE TABLE t (n integer)").value();
    database->execute("INSERT INTO t VALUES (0)").value();
    constexpr int threads = 6, each = 50;
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t)
        workers.emplace_back([&] {
            for (int i = 0; i < each; ++i) {
                auto step = database->begin().value();
                const auto before = step.query("SELECT n FROM t").value()[0].at(0).to_int();
                step.execute("UPDATE t SET n = ?", {before + 1}).value();
                step.commit().value();
                database->query("SELECT n FROM t").value();
            }
        });
    for (auto& worker : workers)
        worker.join();
    CHECK(database->query("SELECT n FROM t").value()[0].at(0) == value(threads * each));
}

// Run by the test below as a process of its own.
TEST_CASE("helper: opens the named database, counts and closes it" * doctest::skip()) {
    const char* url = ::getenv("CARILLON_TEST_DATABASE");
    REQUIRE(url != nullptr);
    auto database = database::open(url).value();
    CHECK(database->query("SELECT count(*) AS n FROM t").value()[0]["n"] == value(1));
}

TEST_CASE("a process that opens and closes a database leaves the log of one that works on it") {
    folder data;
    auto first = database::open(data.url()).value(); // several connections to one file
    first->execute("CREATE TABLE t (n integer)").value();
    first->execute("INSERT INTO t VALUES (1)").value();
    struct stat before {
    }, after{};
    const auto log = data.path / "test.db-wal";
    REQUIRE(::stat(log.c_str(), &before) == 0);
    ::setenv("CARILLON_TEST_DATABASE", data.url().c_str(), 1);
    std::string program = "test_db", pick = "--test-case=helper: opens*", no_skip = "--no-skip",
                quiet = "--out=/dev/null";
    char* arguments[] = {program.data(), pick.data(), no_skip.data(), quiet.data(), nullptr};
    pid_t other = 0;
    REQUIRE(::posix_spawn(&other, "/proc/self/exe", nullptr, nullptr, arguments, environ) == 0);
    int status = 1;
    REQUIRE(::waitpid(other, &status, 0) == other);
    ::unsetenv("CARILLON_TEST_DATABASE");
    CHECK(status == 0);
    REQUIRE(::stat(log.c_str(), &after) == 0);
    CHECK(after.st_ino == before.st_ino);
    first->execute("INSERT INTO t VALUES (2)").value();
    auto second = database::open(data.url()).value();
    CHECK(second->query("SELECT count(*) AS n FROM t").value()[0]["n"] == value(2));
}

TEST_CASE("a lock held elsewhere is waited for, and given up after the busy timeout") {
    folder data;
    database_options hurried;
    hurried.busy_timeout = std::chrono::milliseconds(30);
    auto first = database::open(data.url()).value(),
         second = database::open(data.url(), hurried).value();
    first->execute("CREATE TABLE t (n integer)").value();
    auto held = first->begin().value();
    CHECK(second->execute("INSERT INTO t VALUES (1)").error().code == errc::unavailable);
    held.commit().value();
    CHECK(second->execute("INSERT INTO t VALUES (1)").value() == 1);
}

} // namespace carillon::db
