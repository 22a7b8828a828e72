#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "channels/redis/test_node.hpp"
#include "net/redis/test_witness.hpp"
#include "wire/layer/test_vectors.hpp"

using namespace carillon;
using namespace carillon::channels;
using namespace carillon::channels::redis;
using namespace carillon::channels::redis::test;
using wire::layer::test::items_of;
using wire::layer::test::meant;
using wire::layer::test::unhex;
using wire::layer::test::vectors;

namespace {

std::string pubsub(const server& redis) {
    return "redis+pubsub://127.0.0.1:" + std::to_string(redis.port());
}

// Another program that listens, such as a Python process.
class outsider {
public:
    outsider(const server& redis, const std::string& topic) : tester_(thread_, redis.url()) {
        REQUIRE(tester_.wait_up());
        tester_.call([&](net::redis::client& c) { c.send_push({"SUBSCRIBE", topic}); });
        REQUIRE(tester_.wait([](const auto& seen) { return seen.pushed.size() == 1; }));
    }
    // The message of that place.
    std::string message(std::size_t place) {
        REQUIRE(tester_.wait([=](const auto& seen) { return seen.pushed.size() > place + 1; }));
        return tester_.now_seen().pushed[place + 1].items.at(2).text;
    }
    std::size_t messages() { return tester_.now_seen().pushed.size() - 1; }

private:
    net::redis::test::loop_thread thread_;
    net::redis::test::witness tester_;
};

// How many processes hear it.
std::int64_t publish(const server& redis, std::string_view topic, std::string_view payload) {
    return ask(redis.url(), {"PUBLISH", topic, payload}).number;
}
std::int64_t hearers(const server& redis, std::string_view topic) {
    return ask(redis.url(), {"PUBSUB", "NUMSUB", topic}).items.at(1).number;
}
std::vector<std::string> topics(const server& redis) {
    return texts(ask(redis.url(), {"PUBSUB", "CHANNELS"}));
}

// The event of a vector's dict.
event event_of(const value& dict) {
    const auto plain = meant(dict);
    object members;
    std::string type;
    for (const auto& [name, content] : *plain.if_object())
        if (name == "type")
            type = content.to_text();
        else
            members.set(name, content);
    return {std::move(type), std::move(members)};
}

redis_layer_options with_keys(std::vector<std::string> keys) {
    redis_layer_options options;
    options.codec.keys = std::move(keys);
    return options;
}

} // namespace

TEST_CASE("pubsub: messages as Python publishes them reach a group, and are published as Python "
          "does") {
    if (no_redis())
        return;
    server redis;
    listener who;
    node here(pubsub(redis));
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room.1"));
    CHECK(topics(redis).size() == 2); // the group and the consumer's own channel
    CHECK(hearers(redis, "asgi__group__room.1") == 1);
    outsider other(redis, "asgi__group__room.1");
    std::size_t heard = 0, sent = 0;
    for (const auto& one : items_of(vectors()["pubsub_layer_message_bytes"]["plain_msgpack"])) {
        const auto bytes = unhex(one["publish_payload_hex"].to_text());
        const auto meaning = event_of(one["dict"]);
        CHECK(publish(redis, "asgi__group__room.1", bytes) == 2);
        CHECK(other.message(sent++) == bytes);
        const auto outcome = group_send(*here.layer, "room.1", meaning);
        if (is_reserved_event_type(meaning.type())) {
            REQUIRE_FALSE(outcome);
            CHECK(outcome.error().code == errc::invalid);
            CHECK(eventually([&] { return here.dropped("undecodable") == 1; }));
            continue;
        }
        REQUIRE(outcome);
        CHECK(outcome->queues == 2);
        CHECK(other.message(sent++) == bytes);
        heard += 2;
        REQUIRE(who.wait(heard));
        for (const auto& e : {who.heard()[heard - 1], who.heard()[heard - 2]}) {
            CHECK(e.type() == meaning.type());
            CHECK(e.text() == meaning.text());
        }
    }
    CHECK(heard == 4);
    CHECK(here.metric("carillon_layer_received_total") == 5);
}

TEST_CASE("pubsub: encrypted messages are those of Fernet, at any age, with any of the keys") {
    if (no_redis())
        return;
    server redis;
    const auto& encrypted = vectors()["core_layer_message_bytes"]["encrypted"]["key_setup"];
    const std::string key(items_of(encrypted["symmetric_encryption_keys"])[0].to_text());
    listener who, neighbour;
    node rotated(pubsub(redis), with_keys({"a newer key", key}));
    node older(pubsub(redis), with_keys({key}));
    REQUIRE((rotated.connected() && older.connected()));
    REQUIRE(rotated.join(who, "room"));
    REQUIRE(older.join(neighbour, "room"));
    outsider other(redis, "asgi__group__room");
    std::size_t heard = 0;
    const auto& messages = vectors()["pubsub_layer_message_bytes"]["encrypted_newest_only"];
    for (const auto& one : items_of(messages["messages"])) {
        const auto text = one["publish_payload_ascii"].to_text();
        CHECK(publish(redis, "asgi__group__room", text) == 3);
        REQUIRE(who.wait(++heard));
        CHECK(who.heard().back().text() == event_of(one["dict"]).text());
    }
    REQUIRE(group_send(*older.layer, "room", event("secret.word", {{"word", "sesame"}})));
    REQUIRE(who.wait(++heard));
    CHECK(who.heard().back()["word"].to_text() == "sesame");
    const auto seen = other.message(heard - 1);
    CHECK(seen.starts_with("gAAAA"));
    CHECK(seen.find("sesame") == std::string::npos);
    // The newer key is not known there: dropped and counted, and the next one comes.
    REQUIRE(group_send(*rotated.layer, "room", event("x", {})));
    CHECK(eventually([&] { return older.dropped("undecodable") == 1; }));
    REQUIRE(group_send(*older.layer, "room", event("y", {})));
    REQUIRE(neighbour.wait(heard + 1));
    CHECK(neighbour.heard().back().type() == "y");
}

TEST_CASE("pubsub: messages in JSON go both ways, and bytes are refused") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.codec.format = wire::layer::serializer::json;
    listener who;
    node here(pubsub(redis), options);
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room"));
    outsider other(redis, "asgi__group__room");
    std::size_t heard = 0;
    for (const auto& one : items_of(vectors()["pubsub_layer_message_bytes"]["json_newest_only"])) {
        CHECK(publish(redis, "asgi__group__room", one["publish_payload_text"].to_text()) == 2);
        REQUIRE(who.wait(++heard));
        CHECK(who.heard().back().text() == event_of(one["dict"]).text());
    }
    REQUIRE(here.layer->group_send("room", event("x", {{"n", 1}})));
    CHECK(other.message(heard) == R"({"type":"x","n":1})");
    const auto refused = here.layer->group_send("room", event("x", {{"b", value(bytes(3))}}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::invalid);
}

TEST_CASE("pubsub: an event reaches every member on every shard of both nodes once") {
    if (no_redis())
        return;
    server redis;
    std::vector<std::unique_ptr<listener>> all;
    node one(pubsub(redis)), two(pubsub(redis));
    REQUIRE((one.connected() && two.connected()));
    for (auto* home : {&one, &two})
        for (std::uint32_t i = 0; i < 4; ++i) {
            all.push_back(std::make_unique<listener>());
            REQUIRE(home->join(*all.back(), "room", i % 2));
        }
    CHECK(hearers(redis, "asgi__group__room") == 2); // once for each process
    const auto outcome = group_send(*two.layer, "room", event("news", {{"n", 1}}));
    REQUIRE(outcome);
    CHECK(outcome->queues == 2);
    CHECK(outcome->full == 0);
    REQUIRE(group_send(*one.layer, "nobody", event("news", {{"n", 3}}))->queues == 0);
    REQUIRE(group_send(*one.layer, "room", event("news", {{"n", 2}})));
    for (auto& who : all) {
        REQUIRE(who->wait(2));
        CHECK(who->heard()[0]["n"].to_int() == 1);
        CHECK(who->heard()[1]["n"].to_int() == 2);
    }
    for (std::size_t i = 0; i < 4; ++i)
        one.leave(*all[i], "room");
    CHECK(eventually([&] { return hearers(redis, "asgi__group__room") == 1; }));
    REQUIRE(group_send(*one.layer, "room", event("news", {{"n", 3}}))->queues == 1);
    REQUIRE(all[4]->wait(3));
    one.settle();
    CHECK(all[0]->count() == 2);
}

TEST_CASE("pubsub: a consumer's own channel is heard from everywhere, as long as it is open") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.common.prefix = "my site:";
    listener who, other;
    node one(pubsub(redis), options), two(pubsub(redis), options);
    REQUIRE((one.connected() && two.connected()));
    one.open(who);
    one.open(other);
    CHECK(who.channel.starts_with("my site:specific."));
    CHECK(who.channel.size() == std::string("my site:specific.").size() + 32);
    CHECK(eventually([&] { return hearers(redis, who.channel) == 1; }));
    REQUIRE(send(*two.layer, who.channel, event("x", {{"n", 1}}))->queues == 1);
    REQUIRE(who.wait(1));
    CHECK(publish(redis, who.channel, "\x81\xa4type\xa1y") == 1);
    REQUIRE(who.wait(2));
    const auto received = one.metric("carillon_layer_received_total");
    REQUIRE(send(*one.layer, who.channel, event("z", {}))); // does not leave the process
    REQUIRE(who.wait(3));
    CHECK(one.metric("carillon_layer_received_total") == received);
    CHECK(who.heard()[0]["n"].to_int() == 1);
    CHECK(who.heard()[1].type() == "y");
    CHECK(who.heard()[2].type() == "z");
    CHECK(other.count() == 0);
    const auto name = who.channel;
    one.close(who);
    CHECK(eventually([&] { return hearers(redis, name) == 0; }));
    REQUIRE(send(*two.layer, name, event("x", {}))->queues == 0);
}

TEST_CASE("pubsub: only the process of a channel adds it to a group, and an error says so") {
    if (no_redis())
        return;
    server redis;
    listener who;
    node one(pubsub(redis)), two(pubsub(redis));
    one.open(who);
    const auto refused = two.layer->group_add("room", who.channel);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::invalid);
    CHECK(refused.error().message.find(who.channel) != std::string::npos);
    CHECK(refused.error().message.find("only that process") != std::string::npos);
    CHECK_FALSE(two.layer->group_add("room", "jobs"));
    CHECK(two.layer->group_discard("room", who.channel)); // no member: as in Channels
    CHECK(one.layer->group_add("room", who.channel));
}

TEST_CASE("pubsub: a group may have nearly any name") {
    if (no_redis())
        return;
    server redis;
    listener who;
    node here(pubsub(redis));
    REQUIRE(here.connected());
    std::size_t heard = 0;
    for (const auto& name : {std::string("room:1/any text"), std::string("h\u00e9llo \u4e16\u754c"),
                             std::string("\0zero", 5), std::string("*"), std::string(512, 'g')}) {
        CHECK(here.layer->accepts_group(name));
        REQUIRE(here.join(who, name));
        CHECK(publish(redis, "asgi__group__" + name, "\x81\xa4type\xa1y") == 1);
        REQUIRE(group_send(*here.layer, name, event("x", {})));
        heard += 2;
        REQUIRE(who.wait(heard));
    }
    for (const auto& name :
         {std::string(), std::string(513, 'g'), std::string("\xff"), std::string("\xc3")}) {
        CHECK_FALSE(here.layer->accepts_group(name));
        const auto refused = here.layer->group_send(name, event("x", {}));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == errc::invalid);
        CHECK_FALSE(here.layer->group_add(name, who.channel));
        CHECK_FALSE(here.layer->group_discard(name, who.channel));
        CHECK_FALSE(here.layer->receive_from(name));
        CHECK_FALSE(here.layer->send(name, event("x", {})));
    }
}

TEST_CASE("pubsub: with three servers each name is on the one that its text selects") {
    if (no_redis())
        return;
    server redis[3];
    const auto urls =
        pubsub(redis[0]) + "," + redis[1].url().substr(8) + "," + redis[2].url().substr(8);
    listener who;
    node one(urls), two(urls);
    REQUIRE((one.connected() && two.connected()));
    std::set<std::size_t> used;
    std::size_t heard = 0;
    for (int i = 0; i < 30; ++i) {
        const auto group = "room." + std::to_string(i);
        const auto index = wire::layer::host_index("asgi__group__" + group, 3);
        used.insert(index);
        REQUIRE(one.join(who, group));
        for (std::size_t host = 0; host < 3; ++host)
            CHECK(hearers(redis[host], "asgi__group__" + group) == (host == index ? 1 : 0));
        REQUIRE(group_send(*two.layer, group, event("x", {{"n", i}}))->queues == 1);
        REQUIRE(who.wait(++heard));
    }
    CHECK(wire::layer::host_index("asgi__group__room.1", 3) == 0);
    CHECK(wire::layer::host_index("asgi__group__room.2", 3) == 1);
    CHECK(used.size() == 3);
    for (int i = 0; i < 30; ++i) { // direct sends arrive too
        listener single;
        one.open(single);
        const auto& home = redis[wire::layer::host_index(single.channel, 3)];
        REQUIRE(eventually([&] { return hearers(home, single.channel) == 1; }));
        REQUIRE(send(*two.layer, single.channel, event("x", {}))->queues == 1);
        REQUIRE(single.wait(1));
        one.close(single);
    }
}

TEST_CASE("pubsub: every process that reads a hand-named channel gets each event, its sources "
          "compete") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.common.capacity = 3;
    node one(pubsub(redis), options), two(pubsub(redis));
    REQUIRE((one.connected() && two.connected()));
    auto first = one.layer->receive_from("jobs");
    auto second = one.layer->receive_from("jobs");
    auto far = two.layer->receive_from("jobs");
    REQUIRE((first && second && far));
    CHECK(eventually([&] { return hearers(redis, "jobs") == 2; })); // without prefix
    REQUIRE(send(*two.layer, "jobs", event("resize", {{"n", 1}}))->queues == 2);
    REQUIRE(send(*one.layer, "jobs", event("resize", {{"n", 2}}))->queues == 2);
    for (const int n : {1, 2}) {
        const auto taken = (*(n == 1 ? first : second))->receive(soon());
        REQUIRE(taken);
        CHECK((*taken)["n"].to_int() == n);
        CHECK((*(*far)->receive(soon()))["n"].to_int() == n);
    }
    CHECK_FALSE((*first)->receive(now()));
    // Nobody takes: the newest are dropped.
    for (int i = 0; i < 5; ++i)
        CHECK(publish(redis, "jobs", "\x81\xa4type\xa1y") == 2);
    CHECK(eventually([&] { return one.dropped("capacity") == 2; }));
    for (int i = 0; i < 3; ++i)
        CHECK((*first)->receive(soon()));
    CHECK_FALSE((*first)->receive(now()));
    (*first)->interrupt();
    CHECK_FALSE((*first)->receive(soon()));
    CHECK(publish(redis, "jobs", "\x81\xa4type\xa1z") == 2);
    CHECK((*second)->receive(soon())->type() == "z");
    first->reset();
    CHECK(publish(redis, "jobs", "\x81\xa4type\xa1z") == 2);
    second->reset();
    CHECK(eventually([&] { return hearers(redis, "jobs") == 1; }));
    for (const auto* name : {"specific.1!2", "asgi__group__room"})
        CHECK_FALSE(two.layer->receive_from(name));
    for (int left = 7; left > 0; --left)
        REQUIRE((*far)->receive(soon()));
    const auto before = now();
    std::thread stopper([&] { two.layer->stop(); });
    CHECK_FALSE((*far)->receive(soon())); // ends with the layer
    CHECK(now() - before < std::chrono::seconds(15));
    stopper.join();
}

TEST_CASE("pubsub: what cannot be read is dropped and counted, and the next message comes") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.message_bytes_max = 1'000;
    listener who;
    node here(pubsub(redis), options);
    REQUIRE(here.connected());
    REQUIRE(here.join(who, "room"));
    std::int64_t refused = 0;
    for (const auto& one : items_of(vectors()["decode_edge_cases"])) {
        if (one["expected"].to_text() != "reject")
            continue;
        ++refused;
        const auto member = unhex(one["redis_member_hex"].to_text());
        // without the random prefix of the core layer
        publish(redis, "asgi__group__room",
                std::string_view(member).substr(std::min<std::size_t>(12, member.size())));
    }
    REQUIRE(refused >= 3);
    for (const auto* bad : {"", "\xc1", "\x81\xa4type", "gAAAAA"})
        publish(redis, "asgi__group__room", bad);
    publish(redis, "asgi__group__room", "\x81\xa4type\xb1websocket.receive");
    publish(redis, "asgi__group__room", std::string(1'001, 'x'));
    publish(redis, who.channel, "\xff");
    publish(redis, "asgi__group__room", "\x81\xa4type\xa1y");
    REQUIRE(who.wait(1));
    CHECK(who.heard()[0].type() == "y");
    CHECK(here.dropped("undecodable") == refused + 6);
    CHECK(here.dropped("too_large") == 1);
    CHECK(here.layer->status());
}

TEST_CASE("pubsub: who joins and sends at once hears itself") {
    if (no_redis())
        return;
    server redis;
    listener who;
    node here(pubsub(redis));
    REQUIRE(here.connected());
    here.open(who);
    constexpr std::size_t rounds = 300;
    for (std::size_t i = 0; i < rounds; ++i)
        here.on(*who.home, [&](net::shard&) {
            const auto group = "room." + std::to_string(i);
            CHECK(here.layer->group_add(group, who.channel));
            CHECK(here.layer->group_send(group, event("x", {{"n", static_cast<int>(i)}})));
            CHECK(here.layer->group_send(group, event("y", {{"n", static_cast<int>(i)}})));
        });
    REQUIRE(who.wait(2 * rounds));
    std::vector<std::string> next(rounds, "x"); // of each group in order
    for (const auto& e : who.heard()) {
        auto& expected = next[static_cast<std::size_t>(e["n"].to_int())];
        CHECK(e.type() == expected);
        expected = "y";
    }
}

TEST_CASE("pubsub: however fast somebody joins and leaves, the last state is what Redis has") {
    if (no_redis())
        return;
    server redis;
    listener who;
    node here(pubsub(redis));
    REQUIRE(here.connected());
    here.open(who);
    const auto turn = [&](bool in) {
        here.on(*who.home, [&](net::shard&) {
            for (int i = 0; i < 50; ++i) {
                CHECK(here.layer->group_add("room", who.channel));
                CHECK(here.layer->group_discard("room", who.channel));
            }
            if (in)
                CHECK(here.layer->group_add("room", who.channel));
        });
    };
    std::size_t heard = 0;
    for (int round = 0; round < 40; ++round) {
        turn(true);
        REQUIRE(here.join(who, "room"));
        CHECK(hearers(redis, "asgi__group__room") == 1);
        CHECK(publish(redis, "asgi__group__room", "\x81\xa4type\xa1y") == 1);
        REQUIRE(who.wait(++heard));
        here.leave(who, "room");
        turn(false);
    }
    CHECK(eventually([&] { return hearers(redis, "asgi__group__room") == 0; }));
    here.close(who);
    CHECK(eventually([&] { return topics(redis).empty(); }));
}

TEST_CASE("pubsub: an access list that forbids a channel is said, and harms no other") {
    if (no_redis())
        return;
    server redis({"--user", "site", "on", "nopass", "~*", "&asgi*", "+@all"});
    listener who;
    node here("redis+pubsub://site:any@127.0.0.1:" + std::to_string(redis.port()));
    REQUIRE(here.connected());
    here.open(who);
    std::unique_ptr<channel_source> source;
    here.on(*who.home, [&](net::shard&) { // of one SUBSCRIBE, perhaps
        CHECK(here.layer->group_add("room", who.channel));
        source = here.layer->receive_from("jobs").value();
        CHECK(here.layer->group_add("hall", who.channel));
    });
    REQUIRE(eventually([&] { return !here.layer->status(); }));
    const auto trouble = here.layer->status();
    CHECK(trouble.error().message.find("'jobs'") != std::string::npos);
    CHECK(trouble.error().message.find("NOPERM") != std::string::npos);
    REQUIRE(group_send(*here.layer, "room", event("x", {})));
    REQUIRE(group_send(*here.layer, "hall", event("x", {})));
    REQUIRE(who.wait(2));
    const auto refused = send(*here.layer, "jobs", event("x", {}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("NOPERM") != std::string::npos);
}

TEST_CASE("pubsub: a process without shards sends, and reads hand-named channels") {
    if (no_redis())
        return;
    server redis;
    listener who;
    node site(pubsub(redis));
    REQUIRE(site.connected());
    REQUIRE(site.join(who, "room"));
    metrics counted;
    auto worker =
        redis_layer::make(node::named({}, pubsub(redis)), nullptr, nullptr, silent_log(), counted)
            .value();
    worker->start();
    auto jobs = worker->receive_from("jobs").value();
    REQUIRE(group_send(*worker, "room", event("done", {}))->queues == 1);
    REQUIRE(who.wait(1));
    REQUIRE(eventually([&] { return hearers(redis, "jobs") == 1; }));
    REQUIRE(send(*site.layer, "jobs", event("resize", {})));
    CHECK(jobs->receive(soon())->type() == "resize");
    CHECK_FALSE(worker->group_add("room", "anybody"));
    CHECK(worker->reaches_members("room", [] {}));
    for (int i = 0; i < 500; ++i)
        CHECK(worker->group_send("room", event("x", {})));
    CHECK(worker->flush(soon()));
    REQUIRE(who.wait(501));
}
