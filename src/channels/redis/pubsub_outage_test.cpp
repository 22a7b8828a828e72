#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>

#include "channels/redis/test_node.hpp"

using namespace carillon;
using namespace carillon::channels;
using namespace carillon::channels::redis;
using namespace carillon::channels::redis::test;
using namespace std::chrono_literals;

namespace {

std::string pubsub(const server& redis) {
    return "redis+pubsub://127.0.0.1:" + std::to_string(redis.port());
}
std::int64_t hearers(const server& redis, std::string_view topic) {
    return ask(redis.url(), {"PUBSUB", "NUMSUB", topic}).items.at(1).number;
}
// How often the server executed a command since its statistics were reset.
int calls(const server& redis, const std::string& command) {
    const auto text = ask(redis.url(), {"INFO", "commandstats"}).text;
    const auto name = "cmdstat_" + command + ":calls=";
    const auto at = text.find(name);
    int found = 0;
    if (at != std::string::npos)
        std::from_chars(text.data() + at + name.size(), text.data() + text.size(), found);
    return found;
}
// The numbers of events in the order in which they came.
std::vector<std::int64_t> numbers(listener& who) {
    std::vector<std::int64_t> all;
    for (const auto& e : who.heard())
        all.push_back(e["n"].to_int());
    return all;
}
bool ascends(const std::vector<std::int64_t>& all) {
    return std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()) == all.end();
}

} // namespace

TEST_CASE("pubsub: a killed subscription is restored by one SUBSCRIBE, and the gap is told once") {
    if (no_redis())
        return;
    server redis;
    listener who, other;
    node here(pubsub(redis));
    REQUIRE(here.connected());
    for (int i = 0; i < 500; ++i)
        REQUIRE(here.join(who, "room." + std::to_string(i)));
    REQUIRE(here.join(other, "room.7"));
    REQUIRE(eventually([&] { return hearers(redis, other.channel) == 1; }));
    ask(redis.url(), {"CONFIG", "RESETSTAT"});
    CHECK(ask(redis.url(), {"CLIENT", "KILL", "TYPE", "pubsub"}).number == 1);
    REQUIRE(who.wait_gaps(1));
    REQUIRE(other.wait_gaps(1));
    CHECK(calls(redis, "subscribe") == 1);
    CHECK(hearers(redis, "asgi__group__room.0") == 1);
    CHECK(hearers(redis, "asgi__group__room.499") == 1);
    CHECK(hearers(redis, who.channel) == 1);
    REQUIRE(group_send(*here.layer, "room.499", event("x", {})));
    REQUIRE(who.wait(1));
    here.settle();
    CHECK(who.gaps() == 1);
    CHECK(here.metric("carillon_layer_gaps_total") == 1);
    CHECK(here.metric("carillon_layer_connected") == 1);
}

TEST_CASE("pubsub: what this process sends while its subscription is away waits for it") {
    if (no_redis())
        return;
    server redis;
    listener who;
    redis_layer_options options;
    options.settle_time = 0ms; // no other node is concerned
    node here(pubsub(redis), options);
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room"));
    std::int64_t sent = 0;
    for (int round = 0; round < 6; ++round) {
        CHECK(ask(redis.url(), {"CLIENT", "KILL", "TYPE", "pubsub"}).number == 1);
        REQUIRE(eventually([&] { // the loss is noticed
            return here.metric("carillon_redis_connection_losses_total") == round + 1;
        }));
        for (int i = 0; i < 20; ++i)
            CHECK(here.layer->group_send("room", event("x", {{"n", ++sent}})));
        REQUIRE(who.wait_gaps(static_cast<std::size_t>(round) + 1));
        REQUIRE(who.wait(static_cast<std::size_t>(sent)));
    }
    const auto all = numbers(who);
    CHECK(all.size() == static_cast<std::size_t>(sent));
    CHECK(ascends(all));
    CHECK(who.gaps() == 6);
    CHECK(here.layer->flush(soon()));
}

TEST_CASE("pubsub: subscriptions killed during a stream lose events, but bring none twice") {
    if (no_redis())
        return;
    server redis;
    listener who;
    redis_layer_options options;
    options.settle_time = 0ms; // so that the stream meets the losses
    node here(pubsub(redis), options), there(pubsub(redis), options);
    REQUIRE((here.connected() && there.connected()));
    REQUIRE(here.join(who, "room")); // the other node subscribes to nothing
    std::atomic<bool> enough{false};
    std::atomic<int> sent{0};
    std::thread stream([&] {
        while (!enough) // each after the one before was published, so that no queue grows
            CHECK(group_send(*there.layer, "room", event("x", {{"n", sent++}})));
    });
    constexpr std::size_t kills = 5;
    for (std::size_t i = 1; i <= kills; ++i) {
        const auto before = who.count();
        CHECK(ask(redis.url(), {"CLIENT", "KILL", "TYPE", "pubsub"}).number == 1);
        REQUIRE(who.wait_gaps(i));
        REQUIRE(who.wait(before + 1));
    }
    enough = true;
    stream.join();
    // The stream's last one may have been published before the last restoration.
    CHECK(group_send(*there.layer, "room", event("x", {{"n", sent++}})));
    REQUIRE(eventually([&] { return numbers(who).back() == sent - 1; }));
    CHECK(ascends(numbers(who)));
    CHECK(who.gaps() == kills);
}

TEST_CASE("pubsub: lost command connections fail what was under way, and send nothing twice") {
    if (no_redis())
        return;
    server redis;
    constexpr int events = 4'000, kills = 4;
    listener who;
    redis_layer_options options;
    options.send_timeout = 20s;
    options.undelivered_events_max = events + 1;
    node here(pubsub(redis), options), there(pubsub(redis), options);
    REQUIRE((here.connected() && there.connected()));
    REQUIRE(there.join(who, "room"));
    std::vector<std::atomic<int>> told(events); // 1: published, 2: not known
    std::atomic<int> ends{0};
    int killed = 0;
    for (int i = 0; i < events; ++i) {
        here.layer->group_send_confirmed("room", event("x", {{"n", i}}),
                                         [&, i](const result<delivery>& end) {
                                             told[static_cast<std::size_t>(i)] += end ? 1 : 2;
                                             ++ends;
                                         });
        if (i % (events / kills) != events / kills / 2)
            continue;
        REQUIRE(eventually([&] {
            return ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"}).number > 0;
        }));
        ++killed;
    }
    REQUIRE(eventually([&] { return ends == events; }));
    REQUIRE(group_send(*here.layer, "room", event("x", {{"n", events}})));
    REQUIRE(eventually([&] { return who.count() > 0 && numbers(who).back() == events; }));
    const auto all = numbers(who);
    CHECK(ascends(all)); // nothing twice
    std::int64_t unknown = 0;
    for (int i = 0; i < events; ++i) {
        const auto end = told[static_cast<std::size_t>(i)].load();
        REQUIRE((end == 1 || end == 2));
        unknown += end == 2;
        if (end == 1)
            REQUIRE(std::binary_search(all.begin(), all.end(), i));
    }
    CHECK(here.dropped("unconfirmed") == unknown);
    CHECK(killed == kills);
}

TEST_CASE("pubsub: events wait for a killed server, memberships come first, and the gap is told "
          "once") {
    if (no_redis())
        return;
    server redis;
    listener who, neighbour, late;
    redis_layer_options options;
    options.send_timeout = 20s;
    node one(pubsub(redis), options), two(pubsub(redis), options);
    REQUIRE((one.connected() && two.connected()));
    REQUIRE(one.join(who, "room"));
    REQUIRE(two.join(neighbour, "room"));
    redis.kill();
    REQUIRE(eventually([&] { return !one.layer->status() && !two.layer->status(); }));
    const auto trouble = one.layer->status();
    CHECK(trouble.error().code == errc::unavailable);
    CHECK(trouble.error().message.find("redis://127.0.0.1") != std::string::npos);
    for (int i = 0; i < 100; ++i)
        CHECK(one.layer->group_send("room", event("x", {{"n", i}})));
    // Who joins during the outage waits for nothing, and is told of the gap.
    CHECK(one.join(late, "hall"));
    redis.restart();
    REQUIRE(who.wait_gaps(1));
    REQUIRE(neighbour.wait_gaps(1));
    REQUIRE(late.wait_gaps(1));
    REQUIRE(who.wait(100));
    CHECK(ascends(numbers(who)));
    CHECK(one.layer->flush(soon()));
    REQUIRE(group_send(*two.layer, "room", event("x", {{"n", 100}}))->queues == 2);
    REQUIRE(group_send(*two.layer, "hall", event("x", {{"n", 0}}))->queues == 1);
    REQUIRE(who.wait(101));
    REQUIRE(late.wait(1));
    CHECK(who.count() == 101);
    REQUIRE(neighbour.wait(101)); // also when its node was back later
    CHECK(neighbour.count() == 101);
    CHECK(ascends(numbers(neighbour)));
    for (auto* gone : {&who, &neighbour, &late})
        CHECK(gone->gaps() == 1);
    CHECK(one.dropped("unavailable") == 0);
    CHECK(one.dropped("unconfirmed") == 0);
    CHECK(one.metric("carillon_layer_gaps_total") == 1);
}

TEST_CASE("pubsub: a server that stays away fails what waits for it, then sending itself") {
    if (no_redis())
        return;
    server redis;
    listener who;
    redis_layer_options options;
    options.send_timeout = 300ms;
    node here(pubsub(redis), options);
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room"));
    redis.kill();
    REQUIRE(eventually([&] { return !here.layer->status(); }));
    const auto before = now();
    const auto waited = group_send(*here.layer, "room", event("x", {}));
    REQUIRE_FALSE(waited);
    CHECK(waited.error().code == errc::unavailable);
    CHECK(now() - before < 10s);
    CHECK_FALSE(here.layer->flush(soon()));
    REQUIRE(eventually([&] { return !here.layer->group_send("room", event("x", {})); }));
    const auto refused = here.layer->group_send("room", event("x", {}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::unavailable);
    CHECK(here.dropped("unavailable") >= 3);
    CHECK(here.log.lines("events are dropped until the channel layer's server is back") == 1);
    redis.restart();
    REQUIRE(who.wait_gaps(1));
    REQUIRE(group_send(*here.layer, "room", event("y", {})));
    REQUIRE(who.wait(1));
    CHECK(who.heard()[0].type() == "y");
}

TEST_CASE("pubsub: a layer that starts before its server works when that is there") {
    if (no_redis())
        return;
    server redis;
    redis.kill();
    listener who;
    redis_layer_options options;
    options.send_timeout = 20s;
    node here(pubsub(redis), options);
    REQUIRE(eventually([&] { return here.metric("carillon_layer_connected") == 0; }));
    REQUIRE(here.join(who, "room"));
    CHECK(here.layer->group_send("room", event("x", {{"n", 1}})));
    redis.restart();
    REQUIRE(who.wait(1));
    REQUIRE(who.wait_gaps(1));
}

TEST_CASE("pubsub: a stopped server is noticed, and works again when it goes on") {
    if (no_redis())
        return;
    server redis;
    listener who;
    redis_layer_options options;
    options.send_timeout = 20s;
    node here(pubsub(redis), options);
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room"));
    redis.pause();
    // Written, and never answered: it is not sent again, since the server may do it yet.
    const auto lost = group_send(*here.layer, "room", event("x", {{"n", 0}}));
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code == errc::unavailable);
    CHECK(here.dropped("unconfirmed") == 1);
    for (int i = 1; i <= 50; ++i)
        CHECK(here.layer->group_send("room", event("x", {{"n", i}})));
    redis.resume();
    REQUIRE(who.wait_gaps(1));
    REQUIRE(eventually([&] {
        const auto all = numbers(who);
        return !all.empty() && all.back() == 50;
    }));
    auto all = numbers(who);
    CHECK(ascends(all)); // nothing twice
    CHECK(std::count_if(all.begin(), all.end(), [](auto n) { return n > 0; }) == 50);
    CHECK_FALSE(here.layer->flush(soon()));
    CHECK(here.layer->status());
}

TEST_CASE("pubsub: events above what slow shards may leave are dropped, and told of afterwards") {
    if (no_redis())
        return;
    server redis;
    listener who;
    redis_layer_options options;
    options.undelivered_events_max = 50;
    node here(pubsub(redis), options);
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room"));
    auto single = here.layer->receive_from("jobs").value();
    REQUIRE(eventually([&] { return hearers(redis, "jobs") == 1; }));
    std::promise<void> go_on;
    std::promise<void> busy;
    who.home->events().post([&] {
        busy.set_value();
        go_on.get_future().wait();
    });
    busy.get_future().wait();
    for (int i = 0; i < 80; ++i)
        REQUIRE(group_send(*here.layer, "room", event("x", {{"n", i}})));
    REQUIRE(eventually([&] { return here.dropped("backlog") == 30; }));
    CHECK(here.metric("carillon_layer_undelivered") == 50);
    // Channels have bounds of their own.
    REQUIRE(send(*here.layer, "jobs", event("y", {})));
    CHECK(single->receive(soon()));
    CHECK(who.gaps() == 0);
    go_on.set_value();
    REQUIRE(who.wait(50));
    REQUIRE(who.wait_gaps(1));
    REQUIRE(group_send(*here.layer, "room", event("x", {{"n", 80}})));
    REQUIRE(who.wait(51));
    CHECK(numbers(who).front() == 0);
    CHECK(numbers(who)[49] == 49);
    CHECK(numbers(who).back() == 80);
    here.settle();
    CHECK(who.gaps() == 1);
    CHECK(eventually([&] { return here.metric("carillon_layer_undelivered") == 0; }));
}

TEST_CASE("pubsub: ten publishers on two nodes, each in order, nothing lost, nothing twice") {
    if (no_redis())
        return;
    server redis;
    constexpr int publishers = 10, each = 500;
    std::vector<std::unique_ptr<listener>> all;
    redis_layer_options options;
    options.undelivered_events_max = publishers * each;
    node one(pubsub(redis), options), two(pubsub(redis), options);
    REQUIRE((one.connected() && two.connected()));
    for (std::uint32_t i = 0; i < 8; ++i) {
        all.push_back(std::make_unique<listener>());
        REQUIRE((i % 2 ? one : two).join(*all.back(), "room", i / 2 % 2));
    }
    std::vector<std::thread> threads;
    for (int who = 0; who < publishers; ++who)
        threads.emplace_back([&, who] {
            auto& layer = *(who % 2 ? one : two).layer;
            for (int i = 0; i < each; ++i)
                CHECK(layer.group_send("room", event("news", {{"who", who}, {"n", i}})));
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(one.layer->flush(soon()));
    CHECK(two.layer->flush(soon()));
    for (auto& listening : all) {
        REQUIRE(listening->wait(publishers * each));
        std::vector<std::int64_t> next(publishers, 0);
        for (const auto& e : listening->heard())
            REQUIRE(e["n"].to_int() == next[static_cast<std::size_t>(e["who"].to_int())]++);
        CHECK(listening->gaps() == 0);
    }
    CHECK(one.metric("carillon_layer_unconfirmed") == 0);
    CHECK(one.dropped("backlog") == 0);
}

TEST_CASE("pubsub: too many that wait are refused, and everybody is told once at the end") {
    if (no_redis())
        return;
    server redis;
    redis.kill();
    redis_layer_options options;
    options.send_timeout = 20s;
    options.unconfirmed_events_max = 10;
    std::atomic<int> told{0}, failed{0};
    int refused = 0;
    {
        node here(pubsub(redis), options);
        for (int i = 0; i < 20; ++i)
            here.layer->group_send_confirmed("room", event("x", {}),
                                             [&](const result<delivery>& outcome) {
                                                 ++told;
                                                 failed += !outcome;
                                             });
        refused = told;
        CHECK(refused == 10);
        CHECK(here.metric("carillon_layer_unconfirmed") == 10);
        here.layer->stop();
        CHECK(told == 20);
        CHECK(failed == 20);
        const auto after = here.layer->group_send("room", event("x", {}));
        REQUIRE_FALSE(after);
        CHECK(after.error().code == errc::unavailable);
        CHECK(here.layer->reaches_members("room", [] {}));
        CHECK_FALSE(here.layer->status());
        CHECK(here.metric("carillon_layer_unconfirmed") == 0);
    }
    CHECK(told == 20);
}
