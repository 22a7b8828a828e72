#include <doctest/doctest.h>

#include "channels/redis/test_node.hpp"
#include "channels/redis/test_python.hpp"

#include <algorithm>

#include "channels/redis/core_names.hpp"

using namespace carillon;
using namespace carillon::channels;
using namespace carillon::channels::redis::test;

TEST_CASE("a group spans two nodes: every member gets each event once, and Redis knows one name "
          "per node") {
    if (no_redis())
        return;
    server redis;
    node first(redis.url()), second(redis.url());
    listener a, b, c;
    REQUIRE(first.join(a, "room.1", 0));
    REQUIRE(first.join(b, "room.1", 1));
    REQUIRE(second.join(c, "room.1"));
    auto entries = texts(ask(redis.url(), {"ZRANGE", "asgi:group:room.1", "0", "-1"}));
    CHECK(entries.size() == 2);
    CHECK(std::count(entries.begin(), entries.end(),
                     "specific." + first.boxes.process() + "!g.room.1") == 1);
    const auto told = group_send(*first.layer, "room.1", event("chat.message", {{"text", "hi"}}));
    REQUIRE(told);
    CHECK(told->queues == 2);
    CHECK(told->full == 0);
    for (auto* who : {&a, &b, &c}) {
        REQUIRE(who->wait(1));
        const auto e = who->heard().front();
        CHECK(e.type() == "chat.message");
        CHECK(e.members() == object{{"text", "hi"}});
    }
    for (auto* key : {"asgi:group:room.1"}) {
        const auto left = ask(redis.url(), {"TTL", key}).number;
        CHECK(left >= 1);
        CHECK(left <= 86'400);
    }
    first.leave(a, "room.1");
    first.close(b);
    REQUIRE(eventually([&] {
        return texts(ask(redis.url(), {"ZRANGE", "asgi:group:room.1", "0", "-1"})) ==
               std::vector<std::string>{"specific." + second.boxes.process() + "!g.room.1"};
    }));
    REQUIRE(group_send(*second.layer, "room.1", event("chat.message", {})));
    REQUIRE(c.wait(2));
    CHECK(a.count() == 1);
    CHECK(b.count() == 1);
    first.close(a);
    second.close(c);
}

TEST_CASE(
    "a direct send reaches the one consumer, from this node, another node and another program") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url()), there(redis.url());
    listener a, b;
    here.open(a, 0);
    here.open(b, 1);
    REQUIRE(here.connected());
    REQUIRE(there.connected());
    CHECK(send(*here.layer, a.channel, event("x.y", {{"from", "here"}})));
    REQUIRE(a.wait(1));
    const auto told = send(*there.layer, a.channel, event("x.y", {{"from", "there"}}));
    REQUIRE(told);
    CHECK(told->queues == 1);
    REQUIRE(a.wait(2));
    put(redis.url(), "asgispecific." + here.boxes.process() + "!",
        to_one(event("x.y", {{"from", "python"}}), a.channel));
    REQUIRE(a.wait(3));
    CHECK(a.heard()[1]["from"].to_text() == "there");
    CHECK(a.heard()[2].members() == object{{"from", "python"}});
    here.settle();
    CHECK(b.count() == 0);
    here.close(a);
    here.close(b);
}

TEST_CASE("another program adds a consumer to a group itself, and nobody gets an event twice") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    listener own, both, outside;
    here.open(own);
    here.open(outside, 1);
    REQUIRE(here.join(both, "room"));
    for (auto* who : {&own, &both})
        ask(redis.url(), {"ZADD", "asgi:group:room", now_text(), who->channel});
    const auto entry = "specific." + here.boxes.process() + "!g.room";
    const auto key = "asgispecific." + here.boxes.process() + "!";
    // As channels_redis writes it: all names of this process in one message.
    put(redis.url(), key, to_list(event("x.y", {{"n", 1}}), {both.channel, entry, own.channel}));
    put(redis.url(), key, to_list(event("x.y", {{"n", 2}}), {own.channel}));
    REQUIRE(own.wait(2));
    // And as this library writes it.
    REQUIRE(group_send(*here.layer, "room", event("x.y", {{"n", 3}})));
    REQUIRE(own.wait(3));
    REQUIRE(both.wait(2));
    here.settle();
    CHECK(both.count() == 2);
    CHECK(own.count() == 3);
    CHECK(outside.count() == 0);
    for (auto* who : {&own, &both, &outside})
        here.close(*who);
}

TEST_CASE(
    "values arrive as they were sent, for every message that channels_redis was seen to write") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url()), there(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    const wire::layer::message_codec codec{{}};
    std::size_t sent = 0;
    for (const auto& row : *vectors()["core_layer_message_bytes"]["plain_msgpack"].if_array()) {
        const auto message = codec.decode(from_hex(row["redis_member_hex"].to_text()), {});
        REQUIRE(message);
        const bool reserved = is_reserved_event_type(message->type);
        const event e(reserved ? "x.y" : message->type, message->members);
        const auto told = group_send(*there.layer, "room", e);
        REQUIRE_MESSAGE(told.has_value(), (told ? "" : told.error().message),
                        row["name"].to_text());
        REQUIRE(who.wait(++sent));
        CHECK(who.heard().back().type() == e.type());
        CHECK(who.heard().back().members() == message->members);
    }
    CHECK(sent >= 7);
    here.close(who);
}

TEST_CASE("messages that cannot be read are counted and skipped, and the next good one arrives") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    const auto key = "asgispecific." + here.boxes.process() + "!";
    for (const auto& row : *vectors()["decode_edge_cases"].if_array())
        if (const auto* hex = row["redis_member_hex"].if_string())
            put(redis.url(), key, from_hex(*hex));
    put(redis.url(), key, "");
    put(redis.url(), key, to_one(event("websocket.receive", {{"text", "x"}}), who.channel));
    put(redis.url(), key, to_list(event("_private", {}), {who.channel}));
    const auto entry = "specific." + here.boxes.process() + "!g.room";
    put(redis.url(), key, to_list(event("x.y", {{"n", 1}}), {entry}));
    REQUIRE(who.wait(1));
    CHECK(who.heard().front()["n"].to_int() == 1);
    CHECK(here.dropped("undecodable") >= 8);
    CHECK(here.dropped("no_receiver") >= 3); // those that can be read name nobody
    CHECK(here.log.lines("a message from Redis is dropped") >= 1);
    CHECK(here.log.lines("a message from Redis is dropped") <= 3);
    here.close(who);
}

TEST_CASE("a hundred thousand messages for nobody are counted and leave nothing behind") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    REQUIRE(here.connected());
    const auto own = "specific." + here.boxes.process() + "!";
    const auto where = net::redis::parse_addresses(redis.url()).value().hosts.front();
    for (int round = 0; round < 100; ++round) {
        wire::redis::command many{"ZADD", "asgi" + own};
        for (int i = 0; i < 1'000; ++i)
            many.add(now_text()).add(to_one(event("x.y", {}), own + "gone"));
        REQUIRE(net::redis::ask(where, many, std::chrono::seconds(20)));
    }
    CHECK(eventually([&] { return here.dropped("no_receiver") == 100'000; }));
    CHECK(here.metric("carillon_layer_received_total") == 100'000);
    CHECK(eventually([&] { return here.metric("carillon_layer_undelivered") == 0; }));
}

TEST_CASE(
    "a queue that nobody empties takes its capacity: direct sends fail then, group sends count") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.capacities = {{"specific.small*", 3}};
    node here(redis.url(), options);
    const std::string python = "specific.0123456789abcdef0123456789abcdef!one";
    for (int i = 0; i < 100; ++i)
        REQUIRE(send(*here.layer, python, event("x.y", {{"n", i}})));
    const auto refused = send(*here.layer, python, event("x.y", {}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::channel_full);
    const auto key = "asgispecific.0123456789abcdef0123456789abcdef!";
    CHECK(ask(redis.url(), {"ZCARD", key}).number == 100);
    CHECK(ask(redis.url(), {"TTL", key}).number <= 60);
    CHECK(ask(redis.url(), {"TTL", key}).number >= 1);
    listener who;
    REQUIRE(here.join(who, "room"));
    CHECK(here.layer->group_add("room", python));
    REQUIRE(eventually([&] { return ask(redis.url(), {"ZCARD", "asgi:group:room"}).number == 2; }));
    const auto told = group_send(*here.layer, "room", event("x.y", {}));
    REQUIRE(told);
    CHECK(told->queues == 2);
    CHECK(told->full == 1);
    CHECK(who.wait(1));
    CHECK(here.dropped("capacity") == 2);
    CHECK(here.log.lines("channels are full and miss an event") >= 1);
    for (int i = 0; i < 3; ++i)
        CHECK(send(*here.layer, "specific.small!x", event("x.y", {})));
    CHECK(send(*here.layer, "specific.small!x", event("x.y", {})).error().code ==
          errc::channel_full);
    CHECK(here.layer->group_discard("room", python));
    CHECK(eventually([&] { return ask(redis.url(), {"ZCARD", "asgi:group:room"}).number == 1; }));
    here.close(who);
}

TEST_CASE("a group of Carillon's nodes may have more waiting than a channel of Python") {
    if (no_redis())
        return;
    redis_layer_options options;
    options.common.capacity = 7;
    options.node_capacity = 70;
    options.capacities = {{"spec*!exactly", 5}};
    CHECK(channels::redis::capacity_of(options, "specific.x!y") == 7);
    CHECK(channels::redis::capacity_of(options, "worker") == 7);
    CHECK(channels::redis::capacity_of(options, "specific.x!g.room") == 70);
    CHECK(channels::redis::capacity_of(options, "specific.x!h.0123") == 70);
    CHECK(channels::redis::capacity_of(options, "specific.x!exactly") == 5);
}

TEST_CASE("what cannot be sent is refused at once, and nothing reaches Redis") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    REQUIRE(here.connected());
    auto& layer = *here.layer;
    CHECK(layer.group_send("room", event("x.y", {{"text", "\xff"}})).error().code == errc::invalid);
    CHECK(layer.group_send("room", event("x.y", object{{"\xff", 1}})).error().code ==
          errc::invalid);
    CHECK(layer.group_send("room 1", event("x.y", {})).error().code == errc::invalid);
    CHECK(layer.group_send("room", event("websocket.send", {})).error().code == errc::invalid);
    CHECK(layer.send("a!b!c", event("x.y", {})).error().code == errc::invalid);
    CHECK(layer.group_add("room 1", "a!b").error().code == errc::invalid);
    CHECK(layer.group_add("room", "").error().code == errc::invalid);
    CHECK(layer.group_discard("room", "!").error().code == errc::invalid);
    CHECK(layer.receive_from("a!b").error().code == errc::invalid);
    CHECK(layer.receive_from("a b").error().code == errc::invalid);
    CHECK(layer.flush(soon()));
    CHECK(ask(redis.url(), {"DBSIZE"}).number == 0);
    CHECK(layer.group_send("nobody-is-here", event("x.y", {})));
    CHECK(layer.flush(soon()));
    CHECK(ask(redis.url(), {"DBSIZE"}).number == 0);
}

TEST_CASE("memberships are renewed before Redis forgets them") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.common.group_expiry = std::chrono::seconds(2);
    node here(redis.url(), options);
    listener who;
    REQUIRE(here.join(who, "room"));
    const auto entry = "specific." + here.boxes.process() + "!g.room";
    auto score = [&] { return ask(redis.url(), {"ZSCORE", "asgi:group:room", entry}).text; };
    auto last = score();
    for (int renewals = 0; renewals < 3; ++renewals) {
        REQUIRE(eventually([&] { return score() != last; }));
        last = score();
        REQUIRE_FALSE(last.empty());
    }
    REQUIRE(group_send(*here.layer, "room", event("x.y", {})));
    CHECK(who.wait(1));
    here.close(who);
}

TEST_CASE("a layer that stops gives up its memberships and its queue; the next process has another "
          "name") {
    if (no_redis())
        return;
    server redis;
    std::string first_process;
    {
        node here(redis.url());
        first_process = here.boxes.process();
        std::vector<std::unique_ptr<listener>> all;
        for (int i = 0; i < 50; ++i) {
            all.push_back(std::make_unique<listener>());
            REQUIRE(here.join(*all.back(), "room." + std::to_string(i % 25), i % 2));
        }
        REQUIRE(ask(redis.url(), {"DBSIZE"}).number == 25);
        here.layer->stop();
        CHECK(ask(redis.url(), {"DBSIZE"}).number == 0);
        CHECK(here.layer->group_send("room.1", event("x.y", {})).error().code == errc::unavailable);
        CHECK(here.layer->send("queue", event("x.y", {})).error().code == errc::unavailable);
        CHECK_FALSE(here.layer->status());
        CHECK(here.layer->receive_from("queue").error().code == errc::unavailable);
        for (auto& one : all)
            here.close(*one);
    }
    node next(redis.url());
    CHECK(next.boxes.process() != first_process);
}

TEST_CASE("a group with a long name is entered under its hash") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url()), there(redis.url());
    listener who;
    const std::string fits(55, 'a'), longer(56, 'b'), longest(99, 'c');
    for (const auto& group : {fits, longer, longest})
        REQUIRE(here.join(who, group));
    const auto own = "specific." + here.boxes.process() + "!";
    CHECK(texts(ask(redis.url(), {"ZRANGE", "asgi:group:" + fits, "0", "-1"})).at(0) ==
          own + "g." + fits);
    for (const auto& group : {longer, longest}) {
        const auto entry =
            texts(ask(redis.url(), {"ZRANGE", "asgi:group:" + group, "0", "-1"})).at(0);
        CHECK(entry.starts_with(own + "h."));
        CHECK(is_channel_name(entry));
    }
    std::size_t sent = 0;
    for (const auto& group : {fits, longer, longest}) {
        REQUIRE(group_send(*there.layer, group, event("x.y", {{"group", group}})));
        REQUIRE(who.wait(++sent));
    }
    here.close(who);
}
