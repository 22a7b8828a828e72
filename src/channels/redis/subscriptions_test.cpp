#include <doctest/doctest.h>

#include <atomic>

#include "channels/redis/backlog.hpp"
#include "channels/redis/named_channels.hpp"
#include "channels/redis/registry.hpp"

using namespace carillon;
using namespace carillon::channels::redis;

TEST_CASE("a host comes back while changes wait, which are taken then") {
    registry names(
        1, [](std::string_view) { return 0u; }, [](std::size_t) {});
    names.away(0);
    names.want("a");
    names.restore(0);
    const auto restored = names.take(0, 10, true);
    REQUIRE(restored.size() == 1);
    names.want("b");
    names.acknowledge(0, restored[0]);
    CHECK_FALSE(names.back(0));
    names.return_with_changes(0);
    int ready = 0;
    CHECK(names.reached("a", [] {}));
    CHECK_FALSE(names.reached("b", [&] { ++ready; }));
    const auto late = names.take(0, 10);
    REQUIRE(late.size() == 1);
    CHECK(late[0].name == "b");
    names.acknowledge(0, late[0]);
    CHECK(ready == 1);
}

TEST_CASE("a backlog refuses above its limit, and tells once when all is handled") {
    metrics counted;
    auto& gauge = counted.add(metric_kind::gauge, "open", "");
    int gone = 0;
    std::shared_ptr<void> left;
    {
        backlog events(
            2, [&] { ++gone; }, gauge);
        auto first = events.share(), second = events.share();
        auto copy = second;
        REQUIRE((first && second));
        CHECK_FALSE(events.share());
        CHECK_FALSE(events.share());
        first.reset();
        second.reset();
        CHECK(gauge.get() == 1);
        CHECK(gone == 0);
        copy.reset();
        CHECK(gone == 1);
        events.share().reset(); // nothing was refused since
        CHECK(gone == 1);
        left = events.share();
        auto other = events.share();
        CHECK_FALSE(events.share());
    }
    left.reset();
    CHECK(gone == 1);
}

TEST_CASE("a named channel is heard of with its first and its last source") {
    metrics counted;
    auto& full = counted.add(metric_kind::counter, "full", "");
    std::vector<std::string> told;
    named_channels channels(
        1, full, [&](std::string_view name) { told.push_back("+" + std::string(name)); },
        [&](std::string_view name) { told.push_back("-" + std::string(name)); });
    auto first = channels.open("a");
    auto second = channels.open("a");
    auto other = channels.open("b");
    CHECK(told == std::vector<std::string>{"+a", "+b"});
    CHECK_FALSE(channels.push("c", event("x", {})));
    CHECK(channels.push("a", event("x", {})));
    CHECK(channels.push("a", event("y", {})));
    CHECK(full.get() == 1);
    first.reset();
    CHECK(second->receive(now())->type() == "x"); // it belongs to the channel, not to a source
    CHECK_FALSE(second->receive(now()));
    CHECK(told.size() == 2);
    second.reset();
    CHECK(told.back() == "-a");
    CHECK_FALSE(channels.push("a", event("x", {})));
    channels.end();
    CHECK(channels.push("b", event("x", {})));
    CHECK_FALSE(other->receive(now() + std::chrono::hours(1)));
    CHECK_FALSE(channels.open("d")->receive(now() + std::chrono::hours(1)));
}
