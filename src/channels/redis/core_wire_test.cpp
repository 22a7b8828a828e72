#include <doctest/doctest.h>

#include "channels/redis/test_node.hpp"
#include "channels/redis/test_python.hpp"

#include <set>

#include "wire/sha256.hpp"

using namespace carillon;
using namespace carillon::channels;
using namespace carillon::channels::redis::test;
using addressing = wire::layer::message_codec::addressing;

namespace {

struct three_servers {
    server a, b, c;
    std::string urls() { return a.url() + "," + b.url() + "," + c.url(); }
    const server& of(std::size_t index) { return index == 0 ? a : index == 1 ? b : c; }
};

redis_layer_options with_keys(std::vector<std::string> keys) {
    redis_layer_options options;
    options.codec.keys = std::move(keys);
    return options;
}

} // namespace

TEST_CASE("encrypted events pass between nodes that share a key, and Redis sees no content") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url(), with_keys({"the key"})), there(redis.url(), with_keys({"the key"}));
    listener who;
    REQUIRE(here.join(who, "room"));
    REQUIRE(group_send(*there.layer, "room", event("x.y", {{"text", "hidden"}})));
    REQUIRE(who.wait(1));
    CHECK(who.heard().front()["text"].to_text() == "hidden");
    REQUIRE(send(*there.layer, who.channel, event("x.y", {})));
    REQUIRE(who.wait(2));
    REQUIRE(send(*there.layer, "queue", event("x.y", {{"text", "hidden"}})));
    const auto stored = texts(ask(redis.url(), {"ZRANGE", "asgiqueue", "0", "-1"})).at(0);
    CHECK(stored.substr(12).starts_with("gAAAA"));
    CHECK(stored.find("hidden") == std::string::npos);
    here.close(who);
}

TEST_CASE("events under an older key are read; those under a wrong key or of old age are dropped") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url(), with_keys({"new key", "old key"}));
    listener who;
    REQUIRE(here.join(who, "room"));
    const auto key = "asgispecific." + here.boxes.process() + "!";
    const auto from = [&](const std::string& with, int number) {
        wire::layer::codec_options codec;
        codec.keys = {with};
        return encoded(event("x.y", {{"n", number}}), {who.channel}, addressing::one, codec);
    };
    put(redis.url(), key, from("wrong key", 1));
    put(redis.url(), key, to_one(event("x.y", {{"n", 2}}), who.channel)); // in clear
    const wire::fernet_key old("old key");
    const auto too_old =
        std::chrono::floor<std::chrono::seconds>(utc_now()) - std::chrono::seconds(75);
    put(redis.url(), key, std::string(12, 'r') + old.encrypt("\x81\xa4type\xa3x.y", too_old));
    put(redis.url(), key, from("old key", 3));
    put(redis.url(), key, from("new key", 4));
    REQUIRE(who.wait(2));
    CHECK(who.heard()[0]["n"].to_int() == 3);
    CHECK(who.heard()[1]["n"].to_int() == 4);
    CHECK(here.dropped("undecodable") == 3);
    here.close(who);
}

TEST_CASE("with JSON as the serializer events pass, and bytes are refused") {
    if (no_redis())
        return;
    server redis;
    redis_layer_options options;
    options.codec.format = wire::layer::serializer::json;
    node here(redis.url(), options), there(redis.url(), options);
    listener who;
    REQUIRE(here.join(who, "room"));
    REQUIRE(group_send(*there.layer, "room", event("x.y", {{"text", "\u00e9"}})));
    REQUIRE(who.wait(1));
    CHECK(who.heard().front()["text"].to_text() == "\u00e9");
    put(redis.url(), "asgispecific." + here.boxes.process() + "!",
        R"(012345678901{"type": "x.y", "n": 1, "__asgi_channel__": ["specific.)" +
            here.boxes.process() + R"(!g.room"]})");
    REQUIRE(who.wait(2));
    CHECK(who.heard().back().members() == object{{"n", 1}});
    CHECK(there.layer->group_send("room", event("x.y", {{"data", bytes(2)}})).error().code ==
          errc::invalid);
    here.close(who);
}

TEST_CASE("with three hosts each name lies where channels_redis looks for it") {
    if (no_redis())
        return;
    three_servers redis;
    node here(redis.urls()), there(redis.urls());
    REQUIRE(here.connected());
    REQUIRE(there.connected());
    std::vector<std::unique_ptr<listener>> all;
    std::set<std::size_t> hosts;
    for (int i = 0; i < 30; ++i) {
        const auto group = "room." + std::to_string(i);
        all.push_back(std::make_unique<listener>());
        REQUIRE(here.join(*all.back(), group));
        const auto index = wire::layer::host_index(group, 3);
        hosts.insert(index);
        CHECK(ask(redis.of(index).url(), {"ZCARD", "asgi:group:" + group}).number == 1);
    }
    CHECK(hosts.size() == 3);
    for (int i = 0; i < 30; ++i) {
        auto& who = *all[static_cast<std::size_t>(i)];
        REQUIRE(group_send(*there.layer, "room." + std::to_string(i), event("x.y", {{"n", i}})));
        REQUIRE(who.wait(1));
        // Python looks for the host of the whole name when it sends directly: we listen on all.
        const auto message = to_one(event("x.y", {{"n", i}}), who.channel);
        put(redis.of(wire::layer::host_index(who.channel, 3)).url(),
            "asgispecific." + here.boxes.process() + "!", message);
        REQUIRE(who.wait(2));
        // And it listens where the first part of the name lies: we send there.
        REQUIRE(send(*there.layer, who.channel, event("x.y", {{"n", i}})));
        REQUIRE(who.wait(3));
        for (const auto& e : who.heard())
            CHECK(e["n"].to_int() == i);
        const auto process = "specific." + wire::sha256_hex(std::to_string(i)).substr(0, 32) + "!";
        REQUIRE(send(*there.layer, process + "x", event("x.y", {})));
        CHECK(ask(redis.of(wire::layer::host_index(process, 3)).url(), {"ZCARD", "asgi" + process})
                  .number == 1);
    }
    for (auto& one : all)
        here.close(*one);
}

TEST_CASE("one of three hosts may be away: what lies on the others goes on") {
    if (no_redis())
        return;
    three_servers redis;
    node here(redis.urls()), there(redis.urls());
    std::vector<std::string> groups(3); // one on each host
    for (int i = 0; i < 1'000; ++i) {
        const auto name = "room." + std::to_string(i);
        groups[wire::layer::host_index(name, 3)] = name;
    }
    const auto queue_host = wire::layer::host_index("specific." + here.boxes.process() + "!", 3);
    const auto dead = queue_host == 0 ? 1u : 0u;
    std::vector<std::unique_ptr<listener>> all;
    for (const auto& group : groups) {
        all.push_back(std::make_unique<listener>());
        REQUIRE(here.join(*all.back(), group));
    }
    REQUIRE(there.connected());
    auto& gone = const_cast<server&>(redis.of(dead));
    gone.kill();
    REQUIRE(eventually([&] { return !there.layer->status().has_value(); }));
    CHECK(there.layer->group_send(groups[dead], event("x.y", {{"n", 1}}))); // it waits
    for (std::size_t i = 0; i < 3; ++i)
        if (i != dead) {
            CHECK(group_send(*there.layer, groups[i], event("x.y", {{"n", 2}})));
            CHECK(all[i]->wait(1));
        }
    gone.restart();
    REQUIRE(all[dead]->wait_gaps(1));
    REQUIRE(there.connected());
    CHECK(there.layer->flush(soon()));
    // It was sent when the server came back, perhaps before the members were there again.
    CHECK(group_send(*there.layer, groups[dead], event("x.y", {{"n", 3}})));
    REQUIRE(eventually([&] {
        const auto heard = all[dead]->heard();
        return !heard.empty() && heard.back()["n"].to_int() == 3;
    }));
    for (auto& one : all)
        here.close(*one);
}
