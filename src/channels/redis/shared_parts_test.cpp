#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "channels/redis/accounts.hpp"
#include "channels/redis/backlog.hpp"
#include "channels/redis/credits.hpp"
#include "channels/redis/registry.hpp"
#include "net/io_thread.hpp"

using namespace carillon;
using namespace carillon::channels::redis;

namespace {

// A registry over two hosts: names that begin with 'b' belong to the second.
struct two_hosts {
    two_hosts()
        : names(
              2, [](std::string_view name) { return name.starts_with('b') ? 1u : 0u; },
              [this](std::size_t host) { announced.push_back(host); }) {}
    std::vector<std::size_t> announced;
    registry names;
};

} // namespace

TEST_CASE("a registry announces a change once, and calls who waits when Redis did it") {
    two_hosts all;
    auto& names = all.names;
    names.want("a1");
    names.want("a2");
    CHECK(all.announced == std::vector<std::size_t>{0});
    int ready = 0;
    CHECK_FALSE(names.reached("a1", [&] { ++ready; }));
    CHECK(names.reached("never heard of", [&] { ++ready; }));
    auto changes = names.take(0, 10);
    REQUIRE(changes.size() == 2);
    CHECK(changes[0].name == "a1");
    CHECK(ready == 0);
    names.acknowledge(0, changes[0]);
    CHECK(ready == 1);
    CHECK(names.reached("a1", [&] { ++ready; }));
    CHECK_FALSE(names.reached("a2", [&] { ++ready; }));
    names.want("a3");
    CHECK(all.announced.size() == 2);
    CHECK(names.take(0, 10).size() == 1);
    CHECK(ready == 1);
}

TEST_CASE("a name that comes and goes before Redis heard of it leaves nothing behind") {
    two_hosts all;
    auto& names = all.names;
    int ready = 0;
    for (int i = 0; i < 1'000; ++i) {
        const auto name = "a" + std::to_string(i);
        names.want(name);
        CHECK_FALSE(names.reached(name, [&] { ++ready; }));
        names.unwant(name);
    }
    CHECK(names.take(0, 10).empty());
    CHECK(ready == 1'000); // nobody is there to be reached any more
    CHECK(names.size() == 0);
}

TEST_CASE("the last state of a name wins over acknowledgements of earlier ones") {
    two_hosts all;
    auto& names = all.names;
    names.want("a");
    const auto first = names.take(0, 10);
    names.unwant("a");
    names.want("a");
    names.acknowledge(0, first[0]);
    CHECK_FALSE(names.reached("a", [] {}));
    const auto second = names.take(0, 10);
    REQUIRE(second.size() == 1);
    CHECK(second[0].wanted);
    names.unwant("a");
    names.acknowledge(0, second[0]);
    const auto third = names.take(0, 10);
    REQUIRE(third.size() == 1);
    CHECK_FALSE(third[0].wanted);
    CHECK(names.size() == 1);
    names.acknowledge(0, third[0]);
    CHECK(names.size() == 0);
}

TEST_CASE(
    "while a host is away nobody waits for it, and its names are restored before it is back") {
    two_hosts all;
    auto& names = all.names;
    names.want("a1");
    names.want("a2");
    names.want("b1");
    for (const auto& done : names.take(0, 10))
        names.acknowledge(0, done);
    int ready = 0;
    names.want("a3");
    CHECK_FALSE(names.reached("a3", [&] { ++ready; }));
    names.away(0);
    names.away(0);
    CHECK(ready == 1);
    CHECK(names.reached("a3", [&] { ++ready; }));
    CHECK_FALSE(names.reached("b1", [] {}));
    names.unwant("a2"); // Redis knows it and must forget it
    names.unwant("a3"); // Redis never heard of it
    names.want("a4");
    CHECK(names.take(0, 10).empty());
    names.restore(0);
    CHECK_FALSE(names.back(0));
    std::vector<std::string> restored;
    for (;;) {
        const auto some = names.take(0, 1, true);
        if (some.empty())
            break;
        CHECK_FALSE(names.back(0)); // one is under way
        restored.push_back((some[0].wanted ? "+" : "-") + some[0].name);
        names.acknowledge(0, some[0]);
    }
    std::sort(restored.begin(), restored.end());
    CHECK(restored == std::vector<std::string>{"+a1", "+a4", "-a2"});
    CHECK(names.back(0));
    CHECK(names.reached("a1", [] {}));
    CHECK(names.size() == 3);
}

TEST_CASE("what was under way when the connection broke is restored, and counts no more") {
    two_hosts all;
    auto& names = all.names;
    names.want("a");
    CHECK(names.take(0, 10).size() == 1);
    names.away(0);
    names.restore(0);
    const auto again = names.take(0, 10, true);
    REQUIRE(again.size() == 1);
    names.acknowledge(0, again[0]);
    CHECK(names.back(0));
}

TEST_CASE("who asks while a host is restored waits for the acknowledgement, or for the next loss") {
    two_hosts all;
    auto& names = all.names;
    names.want("a1");
    names.want("a2");
    int ready = 0;
    names.away(0);
    names.restore(0);
    CHECK_FALSE(names.reached("a1", [&] { ++ready; }));
    CHECK_FALSE(names.reached("a2", [&] { ++ready; }));
    const auto first = names.take(0, 1, true);
    CHECK_FALSE(first.at(0).told_before);
    names.acknowledge(0, first.at(0));
    CHECK(ready == 1);
    names.away(0);
    CHECK(ready == 2);
    CHECK(names.reached("a2", [&] { ++ready; }));
    names.restore(0);
    int told_before = 0;
    for (const auto& again : names.take(0, 10, true))
        told_before += again.told_before;
    CHECK(told_before == 1);
}

TEST_CASE("names are renewed while they stay registered") {
    two_hosts all;
    auto& names = all.names;
    names.want("a");
    names.want("gone");
    for (const auto& done : names.take(0, 10))
        names.acknowledge(0, done);
    names.unwant("gone");
    for (const auto& done : names.take(0, 10))
        names.acknowledge(0, done);
    all.announced.clear();
    names.renew(0);
    CHECK(all.announced == std::vector<std::size_t>{0});
    CHECK(names.reached("a", [] {}));
    const auto changes = names.take(0, 10);
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].name == "a");
    CHECK(names.known(0) == std::vector<std::string>{"a"});
}

TEST_CASE("accounts refuse above their limits, and flush waits for what came before it") {
    metrics counted;
    auto& gauge = counted.add(metric_kind::gauge, "open", "");
    accounts book(3, 100, gauge);
    auto large = book.accept(1'000); // alone it may pass
    REQUIRE(large);
    CHECK_FALSE(book.accept(1));
    large.reset();
    auto first = book.accept(10), second = book.accept(10), third = book.accept(10);
    REQUIRE(third);
    CHECK(gauge.get() == 3);
    CHECK_FALSE(book.accept(10));
    second.reset(); // out of order
    CHECK_FALSE(book.flush(now()));
    std::thread later([&] {
        first.reset();
        third.reset();
    });
    CHECK(book.flush(now() + std::chrono::seconds(20)));
    later.join();
    CHECK(gauge.get() == 0);
    auto fourth = book.accept(10);
    book.lost();
    fourth.reset();
    CHECK_FALSE(book.flush(now() + std::chrono::seconds(20)));
    CHECK(book.flush(now() + std::chrono::seconds(20))); // told once
}

TEST_CASE("credits are asked for beforehand, and a large event takes more than its own") {
    metrics counted;
    auto& gauge = counted.add(metric_kind::gauge, "out", "");
    int freed = 0;
    credits allowance(
        10, [&] { ++freed; }, gauge);
    CHECK(allowance.reserve(4) == 4);
    auto small = allowance.share();
    auto large = allowance.share(9); // more than there is: the next ones wait for it
    allowance.unreserve(2);
    CHECK(gauge.get() == 2);
    CHECK(allowance.reserve(3) == 0);
    small.reset();
    CHECK(freed == 0);
    large.reset();
    CHECK(freed == 1);
    CHECK(gauge.get() == 0);
    CHECK(allowance.reserve(20) == 10);
}

TEST_CASE("a backlog refuses by weight, and tells when all is handled after a refusal") {
    metrics counted;
    auto& gauge = counted.add(metric_kind::gauge, "open", "");
    int gone = 0;
    backlog unhandled(
        10, [&] { ++gone; }, gauge);
    auto large = unhandled.share(9);
    auto small = unhandled.share();
    CHECK_FALSE(unhandled.share());
    small.reset();
    CHECK(gone == 0);
    large.reset();
    CHECK(gone == 1);
    CHECK(unhandled.share());
}
