// What nodes send when a server has come back without its data reaches the nodes that come back after them.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>

#include "channels/redis/core_names.hpp"
#include "channels/redis/test_node.hpp"

using namespace carillon;
using namespace carillon::channels;
using namespace carillon::channels::redis;
using namespace carillon::channels::redis::test;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t events = 50;

redis_layer_options settling(std::chrono::milliseconds time, const std::string& prefix = "asgi") {
    redis_layer_options options;
    options.common.prefix = prefix;
    options.send_timeout = 20s;
    options.settle_time = time;
    return options;
}

// A second way to a server, which can be closed before the server goes and opened after it is back.
class side_door {
public:
    explicit side_door(const server& to) : to_(to), path_(to.file("side_door.sock")) { open(); }
    void open() { std::filesystem::create_symlink(to_.socket_path(), path_); }
    void close() { std::filesystem::remove(path_); }
    std::string url(const std::string& scheme) const { return scheme + "://" + path_; }

private:
    const server& to_;
    const std::string path_;
};

std::int64_t settles(const node& here) { return here.metric("carillon_layer_settles_total"); }

// Each event up to the last one, once and in order.
void check_heard(listener& who) {
    REQUIRE(eventually([&] {
        const auto heard = who.heard();
        return !heard.empty() && heard.back()["n"].to_int() == events;
    }));
    const auto heard = who.heard();
    CHECK(heard.size() == events + 1);
    for (std::size_t i = 0; i < heard.size(); ++i)
        CHECK(heard[i]["n"].to_int() == static_cast<std::int64_t>(i));
}

std::string pubsub(const server& redis) {
    return "redis+pubsub://127.0.0.1:" + std::to_string(redis.port());
}

// One node that finds the server at once, and one that finds it when the side door is open again.
struct early_and_late {
    early_and_late(const std::string& front, const std::string& side, redis_layer_options how)
        : early(front, how), late(side, how) {}
    void join(bool early_too) {
        REQUIRE((early.connected() && late.connected()));
        REQUIRE(late.join(far, "room"));
        if (early_too)
            REQUIRE(early.join(near, "room"));
    }
    void send_when_early_is_back() {
        REQUIRE(early.connected());
        for (std::int64_t i = 0; i < events; ++i)
            early.layer->group_send_confirmed("room", event("x", {{"n", i}}),
                                              [this](const result<delivery>& end) {
                                                  sent_to_nobody += !end || end->queues == 0;
                                              });
    }
    void check() {
        CHECK(early.layer->flush(soon()));
        CHECK(sent_to_nobody == 0);
        CHECK(group_send(*early.layer, "room",
                         event("x", {{"n", events}}))); // nothing comes after it
        check_heard(far);
        if (near.home)
            check_heard(near);
        CHECK(far.gaps() == 1);
        CHECK(settles(early) == 1);
    }

    std::atomic<int> sent_to_nobody = 0;
    listener near, far;
    node early, late;
};

} // namespace

TEST_CASE("what is sent after a server came back empty reaches members at a node that comes back "
          "later, once and in order") {
    if (no_redis())
        return;
    server redis;
    side_door door(redis);
    early_and_late core(redis.url(), door.url("unix"), settling(3s, "core"));
    early_and_late sender_only(redis.url(), door.url("unix"), settling(3s, "other"));
    early_and_late subscribed(pubsub(redis), door.url("unix+pubsub"), settling(3s));
    core.join(true);
    sender_only.join(false);
    subscribed.join(true);
    redis.kill();
    door.close();
    for (auto* one : {&core, &sender_only, &subscribed})
        REQUIRE(
            eventually([&] { return !one->early.layer->status() && !one->late.layer->status(); }));
    redis.restart();
    for (auto* one : {&core, &sender_only, &subscribed})
        one->send_when_early_is_back();
    door.open();
    for (auto* one : {&core, &sender_only, &subscribed})
        one->check();
}

TEST_CASE(
    "a node that was merely cut off, or whose server kept its data, hardly waits for others") {
    if (no_redis())
        return;
    server redis({"--appendonly", "yes", "--appendfsync", "always"});
    listener core_member, pubsub_member;
    node core(redis.url(), settling(10s)), subscribed(pubsub(redis), settling(10s));
    REQUIRE((core.connected() && subscribed.connected()));
    REQUIRE(core.join(core_member, "room"));
    REQUIRE(subscribed.join(pubsub_member, "room"));
    ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"});
    REQUIRE((core_member.wait_gaps(1) && pubsub_member.wait_gaps(1)));
    CHECK(settles(subscribed) == 0);
    ask(redis.url(), {"CLIENT", "KILL", "TYPE", "pubsub"});
    REQUIRE(pubsub_member.wait_gaps(2));
    CHECK(settles(subscribed) == 1); // others' subscriptions may be lost, too
    CHECK(group_send(*core.layer, "room", event("x", {{"n", 0}}))->queues == 1);
    CHECK(group_send(*subscribed.layer, "room", event("x", {{"n", 0}}))->queues == 1);
    CHECK(settles(core) == 0);
    redis.kill();
    REQUIRE(eventually([&] { return !core.layer->status(); }));
    redis.restart();
    REQUIRE(core_member.wait_gaps(2));
    CHECK(group_send(*core.layer, "room", event("x", {{"n", 1}}))->queues == 1);
    CHECK(settles(core) == 0);
    REQUIRE(pubsub_member.wait_gaps(3)); // subscriptions are never kept
    CHECK(settles(subscribed) == 2);
}

TEST_CASE("pubsub: nodes whose subscriptions are cut together miss nothing that is sent when the "
          "first of them is back") {
    if (no_redis())
        return;
    server redis;
    constexpr std::int64_t cuts = 4;
    listener who, another;
    const auto options = settling(10s);
    node here(pubsub(redis), options), there(pubsub(redis), options);
    REQUIRE((here.connected() && there.connected()));
    REQUIRE(there.join(who, "room"));
    REQUIRE(here.join(another, "hall"));
    const auto losses = [](const node& of) {
        return of.metric("carillon_redis_connection_losses_total");
    };
    for (std::int64_t i = 0; i < cuts; ++i) {
        CHECK(ask(redis.url(), {"CLIENT", "KILL", "TYPE", "pubsub"}).number == 2);
        REQUIRE(eventually([&] { return losses(here) > i && losses(there) > i; }));
        CHECK(group_send(*here.layer, "room", event("x", {{"n", i}}))->queues == 1);
        REQUIRE(there.connected());
    }
    REQUIRE(who.wait(cuts));
}

TEST_CASE("a server that does not tell which one it is may be another one") {
    if (no_redis())
        return;
    server redis;
    ask(redis.url(), {"ACL", "SETUSER", "half", "on", ">blind", "~*", "&*", "+@all", "-info"});
    const auto where = "://half:blind@127.0.0.1:" + std::to_string(redis.port());
    listener core_member, pubsub_member;
    node core("redis" + where, settling(10s)), subscribed("redis+pubsub" + where, settling(10s));
    REQUIRE((core.connected() && subscribed.connected()));
    CHECK(settles(subscribed) == 0);
    REQUIRE(core.join(core_member, "room"));
    REQUIRE(subscribed.join(pubsub_member, "room"));
    ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"});
    REQUIRE((core_member.wait_gaps(1) && pubsub_member.wait_gaps(1)));
    CHECK(settles(subscribed) == 1);
    CHECK(settles(core) == 0); // its entry is still there
}

TEST_CASE("only what goes to the server that lost its data waits") {
    if (no_redis())
        return;
    server kept, lost;
    const core_names names("asgi", "", 2);
    std::string on_kept = "a", on_lost = "a";
    while (names.host_of_group(on_kept) != 0)
        on_kept += 'a';
    while (names.host_of_group(on_lost) != 1)
        on_lost += 'a';
    listener who;
    std::atomic<int> told = 0;
    node here(kept.url() + "," + lost.url(), settling(10s)); // longer than this test
    REQUIRE(here.connected());
    REQUIRE(here.join(who, on_kept));
    REQUIRE(here.join(who, on_lost));
    lost.kill();
    REQUIRE(eventually([&] { return !here.layer->status(); }));
    lost.restart();
    REQUIRE(here.connected());
    here.layer->group_send_confirmed(on_lost, event("x", {}),
                                     [&](const result<delivery>&) { ++told; });
    for (std::size_t i = 1; i <= 10; ++i)
        CHECK(here.layer->group_send(on_kept, event("y", {})));
    REQUIRE(eventually([&] { return here.metric("carillon_layer_unconfirmed") <= 1; }));
    CHECK(told == 0);
    CHECK(settles(here) == 1);
    here.end();
    CHECK(told == 1);
}

TEST_CASE("a time to settle that another loss interrupts begins anew") {
    if (no_redis())
        return;
    server redis;
    listener who;
    node here(redis.url(), settling(10s));
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room"));
    redis.kill();
    REQUIRE(eventually([&] { return !here.layer->status(); }));
    redis.restart();
    REQUIRE(eventually([&] { return settles(here) == 1; }));
    ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"}); // its own entry is there by now
    CHECK(eventually([&] { return settles(here) == 2; }));
}
