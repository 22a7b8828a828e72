#include <doctest/doctest.h>

#include "channels/redis/test_node.hpp"
#include "channels/redis/test_python.hpp"

#include <atomic>
#include <map>

using namespace carillon;
using namespace carillon::channels;
using namespace carillon::channels::redis::test;

namespace {

event numbered(int publisher, int number) {
    return event("news", {{"who", publisher}, {"number", number}});
}

// Each publisher's events in order and none twice.
bool in_order(const std::vector<event>& heard) {
    std::map<std::int64_t, std::int64_t> last;
    for (const auto& e : heard) {
        const auto who = e["who"].to_int();
        const auto number = e["number"].to_int();
        if (last.contains(who) && last[who] >= number)
            return false;
        last[who] = number;
    }
    return true;
}

} // namespace

TEST_CASE("ten publishers on two nodes: every member gets every event once and each publisher's in "
          "order") {
    if (no_redis())
        return;
    constexpr int publishers = 10, each = 500;
    server redis;
    for (const std::uint32_t shard_count : {1u, 3u}) {
        node here(redis.url(), {}, shard_count), there(redis.url(), {}, shard_count);
        std::vector<std::unique_ptr<listener>> all;
        for (std::uint32_t i = 0; i < 6; ++i) {
            all.push_back(std::make_unique<listener>());
            REQUIRE((i % 2 ? here : there).join(*all.back(), "room", i % shard_count));
        }
        std::vector<std::thread> threads;
        for (int who = 0; who < publishers; ++who)
            threads.emplace_back([&, who] {
                auto& layer = *(who % 2 ? here : there).layer;
                for (int i = 0; i < each; ++i)
                    CHECK(layer.group_send("room", numbered(who, i)));
            });
        for (auto& one : threads)
            one.join();
        CHECK(here.layer->flush(soon()));
        CHECK(there.layer->flush(soon()));
        for (auto& one : all) {
            REQUIRE(one->wait(publishers * each));
            CHECK(one->count() == publishers * each);
            CHECK(in_order(one->heard()));
        }
        CHECK(here.metric("carillon_layer_unconfirmed") == 0);
        for (std::size_t i = 0; i < all.size(); ++i)
            (i % 2 ? here : there).close(*all[i]);
    }
}

TEST_CASE("events of one publisher stay in order over several groups, direct sends and hosts") {
    if (no_redis())
        return;
    server a, b, c;
    const auto urls = a.url() + "," + b.url() + "," + c.url();
    redis_layer_options options;
    options.common.capacity = 1'000; // for the direct sends
    node here(urls, options), there(urls, options);
    listener who;
    std::vector<std::string> groups;
    for (int i = 0; i < 6; ++i) {
        groups.push_back("room." + std::to_string(i));
        REQUIRE(here.join(who, groups.back()));
    }
    for (int i = 0; i < 700; ++i) {
        const auto turn = static_cast<std::size_t>(i % 7);
        if (turn == 6)
            CHECK(there.layer->send(who.channel, numbered(0, i)));
        else
            CHECK(there.layer->group_send(groups[turn], numbered(0, i)));
    }
    REQUIRE(who.wait(700));
    CHECK(in_order(who.heard()));
    here.close(who);
}

TEST_CASE("Redis is killed and comes back empty: sockets stay, memberships return, consumers hear "
          "of the gap") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url()), there(redis.url());
    listener a, b, late;
    REQUIRE(here.join(a, "room", 0));
    REQUIRE(here.join(b, "room", 1));
    REQUIRE(there.connected());
    REQUIRE(here.connected());
    redis.kill();
    REQUIRE(eventually([&] { return !here.layer->status() && !there.layer->status(); }));
    CHECK(here.layer->status().error().code == errc::unavailable);
    CHECK(here.metric("carillon_layer_connected") == 0);
    REQUIRE(here.join(late, "later")); // nobody waits for a server that is away
    here.leave(b, "room");
    redis.restart();
    const auto back = now();
    REQUIRE(a.wait_gaps(1));
    REQUIRE(late.wait_gaps(1));
    REQUIRE(there.connected());
    REQUIRE(group_send(*there.layer, "room", event("x.y", {})));
    REQUIRE(group_send(*there.layer, "later", event("x.y", {})));
    REQUIRE(a.wait(1));
    REQUIRE(late.wait(1));
    CHECK(now() - back < std::chrono::seconds(5));
    here.settle();
    CHECK(b.count() == 0);
    CHECK(a.gaps() == 1);
    CHECK(here.metric("carillon_layer_gaps_total") == 1);
    CHECK(here.metric("carillon_layer_connected") == 1);
    CHECK(here.log.lines("the channel layer's server is back") == 1);
    const auto entry = "specific." + here.boxes.process() + "!g.room";
    CHECK(texts(ask(redis.url(), {"ZRANGE", "asgi:group:room", "0", "-1"})) ==
          std::vector<std::string>{entry});
    for (auto* who : {&a, &b, &late})
        here.close(*who);
}

TEST_CASE("a group that was left while the connection was lost is left in Redis too") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    listener stays, goes;
    REQUIRE(here.join(stays, "room"));
    REQUIRE(here.join(goes, "left"));
    REQUIRE(here.connected());
    redis.pause();
    here.leave(goes, "left"); // it cannot be told now
    REQUIRE(here.connected());
    redis.kill();
    redis.restart(); // and what it knew is put back, as if it had kept it
    const auto entry = "specific." + here.boxes.process() + "!g.left";
    REQUIRE(stays.wait_gaps(1));
    ask(redis.url(), {"ZADD", "asgi:group:left", now_text(), entry});
    ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"});
    REQUIRE(stays.wait_gaps(2));
    REQUIRE(here.join(goes, "left"));
    here.leave(goes, "left");
    CHECK(eventually([&] { return ask(redis.url(), {"EXISTS", "asgi:group:left"}).number == 0; }));
    here.close(stays);
    here.close(goes);
}

TEST_CASE("events wait for a server that is away, and leave in order when it is back in time") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.send_timeout = std::chrono::seconds(20);
    node here(redis.url(), options);
    listener who;
    REQUIRE(here.join(who, "room"));
    REQUIRE(here.connected());
    redis.kill();
    REQUIRE(eventually([&] { return !here.layer->status(); }));
    std::atomic<int> told = 0;
    for (int i = 0; i < 500; ++i)
        here.layer->group_send_confirmed("room", numbered(0, i), [&](const result<delivery>& end) {
            CHECK(end);
            ++told;
        });
    CHECK(here.metric("carillon_layer_unconfirmed") == 500);
    CHECK_FALSE(here.layer->flush(now()));
    redis.restart();
    REQUIRE(who.wait(500));
    CHECK(in_order(who.heard()));
    CHECK(here.layer->flush(soon()));
    CHECK(told == 500);
    here.close(who);
}

TEST_CASE("when a server is away for too long, events are dropped and counted, and senders are "
          "told at once") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.send_timeout = std::chrono::milliseconds(300);
    options.unconfirmed_events_max = 50;
    node here(redis.url(), options);
    listener who;
    REQUIRE(here.join(who, "room"));
    REQUIRE(here.connected());
    redis.kill();
    REQUIRE(eventually([&] { return !here.layer->status(); }));
    std::atomic<int> failed = 0;
    std::atomic<int> others = 0;
    const auto count = [&](const result<delivery>& end) {
        ++(!end && end.error().code == errc::unavailable ? failed : others);
    };
    for (int i = 0; i < 60; ++i)
        here.layer->group_send_confirmed("room", numbered(0, i), count);
    CHECK(eventually([&] { return failed == 60; }));
    CHECK(here.dropped("unavailable") == 60);
    CHECK_FALSE(here.layer->flush(soon()));
    REQUIRE(eventually([&] { return !here.layer->group_send("room", event("x.y", {})); }));
    const auto refused = here.layer->group_send("room", event("x.y", {}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::unavailable);
    CHECK(refused.error().message.find(redis.url()) != std::string::npos);
    CHECK(here.layer->send("someone!x", event("x.y", {})).error().code == errc::unavailable);
    CHECK(here.layer->group_add("room", "someone!x").error().code == errc::unavailable);
    CHECK(here.log.lines("events are dropped until the channel layer's server is back") == 1);
    redis.restart();
    REQUIRE(who.wait_gaps(1));
    CHECK(eventually([&] { return here.layer->group_send("room", event("x.y", {})).has_value(); }));
    REQUIRE(who.wait(1));
    CHECK(others == 0);
    here.close(who);
}

TEST_CASE("a server that stands still is noticed, and what was under way is not sent twice") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.send_timeout = std::chrono::milliseconds(1'000);
    node here(redis.url(), options);
    listener who;
    REQUIRE(here.join(who, "room"));
    REQUIRE(here.connected());
    redis.pause();
    for (int i = 0; i < 300; ++i)
        CHECK(here.layer->group_send("room", numbered(0, i)));
    REQUIRE(eventually([&] { return !here.layer->status(); }));
    redis.resume();
    REQUIRE(who.wait_gaps(1));
    REQUIRE(here.connected());
    CHECK(eventually([&] { return here.layer->group_send("room", numbered(1, 0)).has_value(); }));
    REQUIRE(eventually([&] {
        const auto heard = who.heard();
        return !heard.empty() && heard.back()["who"].to_int() == 1;
    }));
    CHECK(in_order(who.heard()));
    here.close(who);
}

TEST_CASE(
    "connections that are cut again and again lose little, repeat nothing, and gaps are told") {
    if (no_redis())
        return;
    constexpr int events = 10'000, cuts = 20;
    server redis;
    node here(redis.url()), there(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    REQUIRE(there.connected());
    std::atomic<int> confirmed_events = 0, ended = 0;
    for (int i = 0; i < events; ++i) {
        there.layer->group_send_confirmed("room", numbered(0, i), [&](const result<delivery>& end) {
            if (end && end->queues > 0 && end->full == 0)
                ++confirmed_events;
            ++ended;
        });
        if (i % 25 == 0)
            REQUIRE(eventually([&] { return ended > i - 50; }));
        if (i % (events / cuts) == 0) {
            ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"});
            REQUIRE(here.connected());
            REQUIRE(there.connected());
        }
    }
    REQUIRE(eventually([&] { return ended == events; }));
    REQUIRE(here.connected());
    REQUIRE(who.wait_gaps(1));
    REQUIRE(group_send(*there.layer, "room", numbered(1, 0)));
    REQUIRE(eventually([&] {
        const auto heard = who.heard();
        return !heard.empty() && heard.back()["who"].to_int() == 1;
    }));
    CHECK(in_order(who.heard()));
    CHECK(here.metric("carillon_layer_gaps_total") >= 1);
    MESSAGE("received " << who.count() - 1 << " of " << events << ", confirmed "
                        << confirmed_events.load() << ", gaps " << who.gaps());
    CHECK(who.count() > events * 8 / 10);
    here.close(who);
}

TEST_CASE("Redis is killed and restarted under load: publishers go on, order holds, nothing comes "
          "twice") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.send_timeout = std::chrono::seconds(20);
    options.settle_time = std::chrono::milliseconds(100);
    node here(redis.url(), options), there(redis.url(), options);
    listener a, b;
    REQUIRE(here.join(a, "room", 0));
    REQUIRE(there.join(b, "room", 1));
    std::atomic<bool> enough = false;
    std::vector<std::thread> publishers;
    for (int who = 0; who < 4; ++who)
        publishers.emplace_back([&, who] {
            auto& layer = *(who % 2 ? here : there).layer;
            for (int i = 0; !enough; ++i) {
                // Its own confirmation is what it waits for.
                static_cast<void>(group_send(layer, "room", numbered(who, i)));
            }
        });
    for (std::size_t outage = 1; outage <= 3; ++outage) {
        const auto before = a.count();
        REQUIRE(a.wait(before + 100));
        REQUIRE(here.connected());
        redis.kill();
        REQUIRE(eventually([&] { return !here.layer->status() && !there.layer->status(); }));
        redis.restart();
        REQUIRE(a.wait_gaps(outage));
        REQUIRE(b.wait_gaps(outage));
    }
    REQUIRE(a.wait(a.count() + 100));
    enough = true;
    for (auto& one : publishers)
        one.join();
    CHECK(in_order(a.heard()));
    CHECK(in_order(b.heard()));
    CHECK(here.layer->flush(soon()) ==
          (here.dropped("unconfirmed") + here.dropped("unavailable") == 0));
    here.close(a);
    there.close(b);
}

TEST_CASE("shards that are slow hold reading back: no more is taken than the limit, and nothing is "
          "lost") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.undelivered_events_max = 50;
    node here(redis.url(), options, 1), there(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    std::promise<void> go_on;
    here.shards[0]->events().post([held = go_on.get_future().share()] { held.wait(); });
    for (int i = 0; i < 2'000; ++i)
        CHECK(there.layer->group_send("room", numbered(0, i)));
    REQUIRE(there.layer->flush(soon()));
    const auto key = "asgispecific." + here.boxes.process() + "!";
    std::int64_t most = 0;
    CHECK(eventually([&] {
        most = std::max(most, here.metric("carillon_layer_undelivered"));
        return here.metric("carillon_layer_undelivered") >= 49;
    }));
    CHECK(ask(redis.url(), {"ZCARD", key}).number >= 1'950);
    go_on.set_value();
    while (who.count() < 2'000 && who.wait(who.count() + 1))
        most = std::max(most, here.metric("carillon_layer_undelivered"));
    CHECK(who.count() == 2'000);
    CHECK(most <= 50);
    CHECK(in_order(who.heard()));
    CHECK(eventually([&] { return here.metric("carillon_layer_undelivered") == 0; }));
    here.close(who);
}

TEST_CASE("a layer stops in time while its server is away, and tells whoever waits") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    REQUIRE(here.connected());
    redis.pause();
    const auto told = std::make_shared<std::promise<result<delivery>>>();
    here.layer->group_send_confirmed("room", event("x.y", {}),
                                     [told](const result<delivery>& end) { told->set_value(end); });
    const auto began = now();
    here.layer->stop(std::chrono::milliseconds(200));
    CHECK(now() - began < std::chrono::seconds(5));
    const auto end = told->get_future().get();
    REQUIRE_FALSE(end);
    CHECK(end.error().code == errc::unavailable);
    here.layer->stop();
    redis.resume();
    here.close(who);
}

TEST_CASE("a server whose scripts were flushed is given the script again") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    for (int i = 0; i < 5; ++i) {
        ask(redis.url(), {"SCRIPT", "FLUSH"});
        CHECK(group_send(*here.layer, "room", numbered(0, i)));
    }
    REQUIRE(who.wait(5));
    CHECK(in_order(who.heard()));
    here.close(who);
}

TEST_CASE("a key of another type under a queue's or a group's name is told, and harms no other") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    ask(redis.url(), {"SET", "asgispecific.other!", "x"});
    ask(redis.url(), {"SET", "asgi:group:spoiled", "x"});
    ask(redis.url(), {"ZADD", "asgi:group:room", now_text(), "specific.other!g.room"});
    CHECK_FALSE(group_send(*here.layer, "room", event("x.y", {})));
    CHECK(who.wait(1));
    CHECK_FALSE(group_send(*here.layer, "spoiled", event("x.y", {})));
    CHECK(group_send(*here.layer, "fine", event("x.y", {})));
    listener other;
    CHECK(here.join(other, "spoiled")); // told as an error in the log, and tried again
    ask(redis.url(), {"DEL", "asgi:group:spoiled"});
    CHECK(eventually([&] {
        return ask(redis.url(), {"ZCARD", "asgi:group:spoiled"}).number == 1;
    }));
    here.close(who);
    here.close(other);
}
