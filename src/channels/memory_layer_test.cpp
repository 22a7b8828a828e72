#include <doctest/doctest.h>

#include <future>
#include <thread>
#include <vector>

#include "channels/test_layer.hpp"

using namespace carillon;
using namespace carillon::channels;
using carillon::channels::test::two_shards;

namespace {

// Remembers what it hears, with its slots when it is told to keep them.
struct listener final : subscriber {
    void on_event(const event& e, const std::shared_ptr<void>& slot) noexcept override {
        heard.push_back(e);
        if (keep)
            slots.push_back(slot);
        if (heard.size() == wanted)
            enough.set_value();
    }
    std::vector<event> heard;
    std::vector<std::shared_ptr<void>> slots;
    bool keep = false;
    std::size_t wanted = 0;
    std::promise<void> enough;
};

} // namespace

TEST_CASE("every member on every shard gets every event once, each publisher's in order") {
    two_shards house;
    constexpr int publishers = 3, each = 400, listeners_per_shard = 4;
    std::vector<std::unique_ptr<listener>> all;
    for (std::uint32_t shard = 0; shard < 2; ++shard)
        for (int i = 0; i < listeners_per_shard; ++i) {
            all.push_back(std::make_unique<listener>());
            all.back()->wanted = publishers * each;
            house.on(shard,
                     [&](net::shard& home) { house.members.join(home, "room", *all.back()); });
        }
    std::vector<std::thread> threads;
    for (int who = 0; who < publishers - 1; ++who)
        threads.emplace_back([&, who] {
            for (int i = 0; i < each; ++i)
                CHECK(house.layer.group_send("room", event("news", {{"who", who}, {"number", i}})));
        });
    house.on(0, [&](net::shard&) { // one of the publishers is a shard itself
        for (int i = 0; i < each; ++i)
            CHECK(house.layer.group_send("room",
                                         event("news", {{"who", publishers - 1}, {"number", i}})));
    });
    for (auto& one : threads)
        one.join();
    for (auto& one : all) {
        REQUIRE(one->enough.get_future().wait_for(std::chrono::seconds(20)) ==
                std::future_status::ready);
        std::vector<std::int64_t> next(publishers, 0);
        for (const auto& e : one->heard)
            REQUIRE(e["number"].to_int() == next[static_cast<std::size_t>(e["who"].to_int())]++);
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        house.on(i < listeners_per_shard ? 0 : 1,
                 [&](net::shard& home) { house.members.leave_all(home, *all[i]); });
    CHECK(house.layer.group_send("room", event("news", {})));
    for (const std::uint32_t shard : {0u, 1u})
        house.on(shard, [](net::shard&) {});
    CHECK(all.front()->heard.size() == publishers * each);
}

TEST_CASE("a consumer's channel holds its capacity, and takes more when events were handled") {
    channel_layer_options options;
    options.capacity = 5;
    two_shards house(options);
    listener who;
    who.keep = true;
    std::string channel;
    house.on(1, [&](net::shard& home) { channel = house.boxes.open(home, who); });
    CHECK(is_channel_name(channel));
    for (int i = 0; i < 5; ++i)
        CHECK(house.layer.send(channel, event("news", {{"number", i}})));
    const auto refused = house.layer.send(channel, event("news", {}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::channel_full);
    CHECK(house.dropped("capacity") == 1);
    house.on(1, [&](net::shard&) { who.slots.pop_back(); });
    CHECK(house.layer.send(channel, event("news", {{"number", 5}})));
    house.on(1, [&](net::shard&) {
        REQUIRE(who.heard.size() == 6);
        for (std::size_t i = 0; i < 6; ++i)
            CHECK(who.heard[i]["number"].to_int() == static_cast<std::int64_t>(i));
        house.boxes.close(channel);
        who.slots.clear();
    });
    CHECK(house.layer.send(channel, event("news", {}))); // gone is no failure
}

TEST_CASE("an event that waited longer than its expiry is dropped and counted") {
    channel_layer_options options;
    options.expiry = std::chrono::seconds(0);
    two_shards house(options);
    listener who;
    std::string channel;
    house.on(0, [&](net::shard& home) { channel = house.boxes.open(home, who); });
    house.on(0, [&](net::shard&) { // the shard is busy here, so the event has to wait
        CHECK(house.layer.send(channel, event("news", {})));
    });
    house.on(0, [&](net::shard&) { house.boxes.close(channel); });
    CHECK(who.heard.empty());
    CHECK(house.dropped("expiry") == 1);
    CHECK(house.layer.send("worker-queue", event("news", {})));
    CHECK_FALSE(house.boxes.by_hand().take("worker-queue"));
    CHECK(house.dropped("expiry") == 2);
}

TEST_CASE("a consumer joins and leaves groups by the name of its channel") {
    two_shards house;
    listener who;
    std::string channel;
    house.on(1, [&](net::shard& home) { channel = house.boxes.open(home, who); });
    CHECK(house.layer.group_add("room", channel));
    house.on(1, [](net::shard&) {});
    CHECK(house.layer.group_send("room", event("first", {})));
    house.on(1, [&](net::shard&) { CHECK(who.heard.size() == 1); });
    CHECK(house.layer.group_discard("room", channel));
    house.on(1, [](net::shard&) {});
    CHECK(house.layer.group_send("room", event("second", {})));
    house.on(1, [&](net::shard&) {
        CHECK(who.heard.size() == 1);
        house.boxes.close(channel);
    });
    CHECK(house.layer.group_add("room", channel)); // nobody is there any more
    house.on(1, [&](net::shard&) { CHECK(who.groups() == 0); });
}

TEST_CASE("on its own shard a consumer is in the group as soon as group_add returns") {
    two_shards house;
    listener who;
    house.on(0, [&](net::shard& home) {
        const auto channel = house.boxes.open(home, who);
        CHECK(house.layer.group_add("room", channel));
        CHECK(who.groups() == 1);
        CHECK(house.layer.group_send("room", event("news", {})));
        CHECK(who.heard.empty()); // never inside the call
    });
    house.on(0, [&](net::shard& home) {
        CHECK(who.heard.size() == 1);
        house.members.leave_all(home, who);
    });
}

TEST_CASE("malformed names and reserved types are refused") {
    two_shards house;
    const event good("news", {});
    for (const auto* name : {"", "room 1", "a!b"})
        CHECK(house.layer.group_send(name, good).error().code == errc::invalid);
    CHECK(house.layer.send("a!b!c", good).error().code == errc::invalid);
    CHECK(house.layer.group_add("room", "!").error().code == errc::invalid);
    CHECK(house.layer.group_add("room 1", "a!b").error().code == errc::invalid);
    CHECK(house.layer.group_discard("room", "").error().code == errc::invalid);
    CHECK(house.layer.group_send("room", event("websocket.close", {})).error().code ==
          errc::invalid);
    CHECK(house.layer.send("queue", event("_x", {})).error().code == errc::invalid);
    CHECK(house.layer.group_send("nobody-is-here", good));
}

TEST_CASE("a channel named by hand is a queue of its capacity, and of its own") {
    channel_layer_options options;
    options.capacity = 3;
    two_shards house(options);
    for (int i = 0; i < 3; ++i)
        CHECK(house.layer.send("queue", event("job", {{"number", i}})));
    CHECK(house.layer.send("queue", event("job", {})).error().code == errc::channel_full);
    CHECK(house.layer.send("other", event("job", {})));
    for (int i = 0; i < 3; ++i)
        CHECK((*house.boxes.by_hand().take("queue"))["number"].to_int() == i);
    CHECK_FALSE(house.boxes.by_hand().take("queue"));
}

TEST_CASE("channels named by hand from which nobody takes do not pile up") {
    channel_layer_options options;
    options.expiry = std::chrono::seconds(0);
    two_shards house(options);
    for (int i = 0; i < 10'000; ++i)
        CHECK(house.layer.send("queue-" + std::to_string(i), event("job", {})));
    CHECK(house.boxes.by_hand().size() <= 64);
    CHECK(house.dropped("expiry") >= 10'000 - 64);
}

TEST_CASE("a group may hold channels that were named by hand") {
    channel_layer_options options;
    options.capacity = 2;
    two_shards house(options);
    listener who;
    house.on(0, [&](net::shard& home) { house.members.join(home, "room", who); });
    CHECK(house.layer.group_add("room", "archive"));
    CHECK(house.layer.group_add("room", "archive")); // twice is as good as once
    CHECK(house.layer.group_add("room", "mail"));
    std::vector<delivery> told;
    const auto publish = [&](std::string_view group, int number) {
        house.layer.group_send_confirmed(group, event("news", {{"number", number}}),
                                         [&](const result<delivery>& sent) {
                                             REQUIRE(sent);
                                             told.push_back(*sent);
                                         });
    };
    publish("room", 1);
    CHECK(house.layer.send("mail", event("news", {{"number", 0}})));
    publish("room", 2);
    publish("nobody-is-here", 3);
    REQUIRE(told.size() == 3);
    CHECK(told[0].queues == 3);
    CHECK(told[0].full == 0);
    CHECK(told[1].queues == 3);
    CHECK(told[1].full == 1); // mail
    CHECK(told[2].queues == 0);
    CHECK(house.dropped("capacity") == 1);
    for (int i = 1; i <= 2; ++i)
        CHECK((*house.boxes.by_hand().take("archive"))["number"].to_int() == i);
    CHECK_FALSE(house.boxes.by_hand().take("archive"));
    CHECK(house.layer.group_discard("room", "archive"));
    CHECK(house.layer.group_discard("room", "archive"));
    CHECK(house.layer.group_discard("no-such-group", "archive"));
    CHECK(house.layer.group_send("room", event("news", {})));
    CHECK_FALSE(house.boxes.by_hand().take("archive"));
    house.on(0, [&](net::shard& home) {
        CHECK(who.heard.size() == 3);
        house.members.leave_all(home, who);
    });
}

TEST_CASE("a refused event is told to whoever asked for confirmation") {
    two_shards house;
    std::vector<errc> told;
    const auto hear = [&](const result<delivery>& sent) { told.push_back(sent.error().code); };
    house.layer.group_send_confirmed("room 1", event("news", {}), hear);
    house.layer.group_send_confirmed("room", event("websocket.close", {}), hear);
    house.layer.send_confirmed("a!b!c", event("news", {}), hear);
    CHECK(told == std::vector<errc>(3, errc::invalid));
}

TEST_CASE("a hand-named channel is read through a source, a consumer's own one is not") {
    two_shards house;
    auto reading = house.layer.receive_from("thumbnails");
    REQUIRE(reading);
    CHECK(house.layer.send("thumbnails", event("image.resize", {{"id", 7}})));
    const auto got = (*reading)->receive(now());
    REQUIRE(got);
    CHECK((*got)["id"].to_int() == 7);
    CHECK_FALSE((*reading)->receive(now()));
    for (const auto* name : {"specific.0123!1", "two words", ""})
        CHECK(house.layer.receive_from(name).error().code == errc::invalid);
}

TEST_CASE("with names of the pubsub layer a consumer's channel is still not one named by hand") {
    channel_layer_options options;
    options.pubsub_names = true;
    two_shards house(options);
    listener who;
    std::string channel;
    house.on(1, [&](net::shard& home) { channel = house.boxes.open(home, who); });
    CHECK(channel.starts_with("asgispecific."));
    CHECK(house.layer.group_add("room", channel));
    CHECK(house.layer.send(channel, event("direct", {})));
    house.on(1, [&](net::shard&) {
        CHECK(who.groups() == 1);
        CHECK(who.heard.size() == 1);
    });
    CHECK(house.layer.group_discard("room", channel));
    CHECK(house.layer.receive_from(channel).error().code == errc::invalid);
    house.on(1, [&](net::shard&) { house.boxes.close(channel); });
    CHECK(house.layer.send(channel, event("late", {}))); // gone is no failure
    CHECK(house.layer.send("asgi.queue", event("job", {})));
    CHECK(house.boxes.by_hand().size() == 1);
}
