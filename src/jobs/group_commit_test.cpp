#include "jobs/group_commit.hpp"

#include <atomic>

#include <doctest/doctest.h>

#include "jobs/test_support.hpp"

namespace carillon::jobs {

using db::sqlite::connection;

namespace {

struct notebook {
    notebook() : reader(connection::open(folder.path() / "notes.db", {}).value()) {
        reader.run("CREATE TABLE notes (n integer UNIQUE)").value();
    }
    connection another() { return connection::open(folder.path() / "notes.db", {}).value(); }
    std::int64_t count() {
        return reader.query("SELECT COUNT(*) FROM notes", {}).value()[0].at(0).to_int();
    }

    testing::temporary_folder folder;
    connection reader;
};

std::function<result<void>(connection&)> note(int n) {
    return [n](connection& on) -> result<void> {
        auto done = on.execute("INSERT INTO notes VALUES (?)", {n});
        return done ? result<void>() : done.error();
    };
}

} // namespace

TEST_CASE("an operation that fails by itself leaves the others of its transaction alone") {
    notebook book;
    std::atomic<int> commits{0};
    {
        group_commit writer(book.another(), silent_log(), [&] { ++commits; });
        CHECK(writer.run(note(1)));
        CHECK(writer.run(note(1)).error().code == errc::conflict);
        CHECK(writer.run(note(2)));
    }
    CHECK(book.count() == 2);
    CHECK(commits.load() == 3);
}

TEST_CASE("a transaction that fails takes back all of it, and what must happen is tried again "
          "until it does") {
    notebook book;
    std::atomic<int> tries{0};
    testing::journal<bool> settled;
    group_commit writer(book.another(), silent_log(), {});
    // Both in one transaction: the writer is busy with the first until they are submitted.
    testing::gate begun, go_on;
    group_commit::operation busy;
    busy.apply = [&](connection&) -> result<void> {
        begun.open();
        go_on.pass();
        return {};
    };
    writer.submit(std::move(busy));
    REQUIRE(begun.pass());
    group_commit::operation must, may;
    must.until_done = true;
    must.apply = [&](connection& on) -> result<void> {
        auto done = note(1)(on);
        return ++tries == 1 ? failure{errc::unavailable, "the disk is full"} : done;
    };
    must.settled = [&](const result<void>& outcome) { settled.add(outcome.has_value()); };
    may.apply = note(2);
    may.settled = [&](const result<void>& outcome) { settled.add(outcome.has_value()); };
    writer.submit(std::move(may));
    writer.submit(std::move(must));
    CHECK(writer.pending() == 3);
    go_on.open();
    REQUIRE(settled.wait_count(2));
    CHECK(settled.all() == std::vector<bool>{false, true});
    CHECK(tries == 2);
    CHECK(book.count() == 1);
}

TEST_CASE("what was submitted before the end is written") {
    notebook book;
    {
        group_commit writer(book.another(), silent_log(), {});
        for (int i = 0; i < 3'000; ++i) {
            group_commit::operation each;
            each.apply = note(i);
            writer.submit(std::move(each));
        }
    }
    CHECK(book.count() == 3'000);
}

} // namespace carillon::jobs
