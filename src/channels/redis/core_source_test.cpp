#include <doctest/doctest.h>

#include "channels/redis/test_node.hpp"
#include "channels/redis/test_python.hpp"

#include <set>

using namespace carillon;
using namespace carillon::channels;
using namespace carillon::channels::redis::test;

TEST_CASE("readers of a hand-named channel compete: each event goes to one of them, in order for "
          "one alone") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url()), there(redis.url());
    REQUIRE(here.connected());
    auto alone = here.layer->receive_from("jobs").value();
    for (int i = 0; i < 20; ++i)
        REQUIRE(there.layer->send("jobs", event("job.run", {{"n", i}})));
    for (int i = 0; i < 20; ++i) {
        const auto e = alone->receive(soon());
        REQUIRE(e);
        CHECK((*e)["n"].to_int() == i);
        CHECK(e->members().size() == 1);
    }
    std::mutex guard;
    std::multiset<std::int64_t> seen;
    std::vector<std::unique_ptr<channel_source>> sources;
    std::vector<std::thread> readers;
    for (auto* of : {&here, &there, &there})
        sources.push_back(of->layer->receive_from("jobs").value());
    for (auto& source : sources)
        readers.emplace_back([&] {
            while (const auto e = source->receive(soon())) {
                std::lock_guard lock(guard);
                seen.insert((*e)["n"].to_int());
            }
        });
    for (int i = 0; i < 90; ++i)
        CHECK(send(*here.layer, "jobs", event("job.run", {{"n", i}})));
    CHECK(eventually([&] {
        std::lock_guard lock(guard);
        return seen.size() == 90;
    }));
    for (auto& source : sources)
        source->interrupt();
    for (auto& one : readers)
        one.join();
    CHECK(std::set(seen.begin(), seen.end()).size() == 90);
    CHECK(ask(redis.url(), {"ZCARD", "asgijobs"}).number == 0);
}

TEST_CASE("a wait ends at its deadline, and when it is interrupted") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    REQUIRE(here.connected());
    auto source = here.layer->receive_from("jobs").value();
    const auto began = now();
    CHECK_FALSE(source->receive(began + std::chrono::milliseconds(50)));
    CHECK(now() - began >= std::chrono::milliseconds(50));
    CHECK(now() - began < std::chrono::seconds(10));
    std::thread reader([&] { CHECK_FALSE(source->receive(soon())); });
    REQUIRE(eventually([&] {
        return ask(redis.url(), {"CLIENT", "LIST"}).text.find("cmd=bzpopmin") != std::string::npos;
    }));
    source->interrupt();
    reader.join();
    CHECK_FALSE(source->receive(soon()));
}

TEST_CASE(
    "an event that came when nobody waited any more goes back, and is received by somebody else") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url()), there(redis.url());
    REQUIRE(here.connected());
    REQUIRE(there.connected());
    auto impatient = here.layer->receive_from("jobs").value();
    // Its connection pops for up to a second longer than it waits.
    while (
        !impatient->receive(now() + std::chrono::milliseconds(1)) &&
        ask(redis.url(), {"CLIENT", "LIST"}).text.find("cmd=bzpopmin age") == std::string::npos &&
        ask(redis.url(), {"INFO", "clients"}).text.find("blocked_clients:3") == std::string::npos) {
    }
    REQUIRE(send(*there.layer, "jobs", event("job.run", {{"n", 1}})));
    auto patient = there.layer->receive_from("jobs").value();
    const auto e = patient->receive(soon());
    REQUIRE(e);
    CHECK((*e)["n"].to_int() == 1);
    // The same when it is destroyed while the event is kept.
    while (!impatient->receive(now() + std::chrono::milliseconds(1)) &&
           ask(redis.url(), {"INFO", "clients"}).text.find("blocked_clients:3") ==
               std::string::npos) {
    }
    REQUIRE(send(*there.layer, "jobs", event("job.run", {{"n", 2}})));
    impatient.reset();
    const auto next = patient->receive(soon());
    REQUIRE(next);
    CHECK((*next)["n"].to_int() == 2);
}

TEST_CASE("a hand-named channel may be a member of groups, and messages of Python workers' kind "
          "are read") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    CHECK(here.layer->group_add("room", "jobs"));
    REQUIRE(eventually([&] { return ask(redis.url(), {"ZCARD", "asgi:group:room"}).number == 1; }));
    const auto told = group_send(*here.layer, "room", event("job.run", {{"n", 1}}));
    REQUIRE(told);
    CHECK(told->queues == 1);
    auto source = here.layer->receive_from("jobs").value();
    auto e = source->receive(soon());
    REQUIRE(e);
    CHECK(e->members() == object{{"n", 1}});
    put(redis.url(), "asgijobs", "not a message");
    put(redis.url(), "asgijobs",
        encoded(event("job.run", {{"n", 2}}), {}, wire::layer::message_codec::addressing::none));
    e = source->receive(soon());
    REQUIRE(e);
    CHECK((*e)["n"].to_int() == 2);
    CHECK(here.dropped("undecodable") == 1);
    CHECK(here.layer->group_discard("room", "jobs"));
    REQUIRE(eventually([&] { return ask(redis.url(), {"ZCARD", "asgi:group:room"}).number == 0; }));
}

TEST_CASE("hand-named channels use all of three hosts, and a reader hears all of them") {
    if (no_redis())
        return;
    server a, b, c;
    node here(a.url() + "," + b.url() + "," + c.url());
    REQUIRE(here.connected());
    for (int i = 0; i < 30; ++i)
        REQUIRE(send(*here.layer, "jobs", event("job.run", {{"n", i}})));
    for (const auto* one : {&a, &b, &c})
        CHECK(ask(one->url(), {"ZCARD", "asgijobs"}).number == 10);
    auto source = here.layer->receive_from("jobs").value();
    std::set<std::int64_t> seen;
    for (int i = 0; i < 30; ++i) {
        const auto e = source->receive(soon());
        REQUIRE(e);
        seen.insert((*e)["n"].to_int());
    }
    CHECK(seen.size() == 30);
}

TEST_CASE("a process without shards sends, and has nothing of its own in Redis") {
    if (no_redis())
        return;
    server redis;
    node here(redis.url());
    listener who;
    REQUIRE(here.join(who, "room"));
    metrics counted;
    redis_layer_options options;
    options.common.capacity = 1'000; // for the direct send behind the others
    auto sender = redis_layer::make(node::named(options, redis.url()), nullptr, nullptr,
                                    silent_log(), counted)
                      .value();
    sender->start(); // and what is sent at once waits for the connection
    for (int i = 0; i < 100; ++i)
        CHECK(sender->group_send("room", event("x.y", {{"n", i}})));
    CHECK(sender->send(who.channel, event("x.y", {{"n", 100}})));
    CHECK(sender->flush(soon()));
    REQUIRE(who.wait(101));
    for (std::size_t i = 0; i < 101; ++i)
        CHECK(who.heard()[i]["n"].to_int() == static_cast<std::int64_t>(i));
    sender->stop();
    CHECK_FALSE(sender->group_send("room", event("x.y", {})));
    here.close(who);
}

TEST_CASE("options that contradict each other are refused") {
    metrics counted;
    const auto refused = [&](const redis_layer_options& options) {
        const auto made = redis_layer::make(options, nullptr, nullptr, silent_log(), counted);
        return !made && made.error().code == errc::invalid;
    };
    CHECK(refused({}));
    const auto good = node::named({}, "redis://127.0.0.1:1");
    CHECK_FALSE(refused(good));
    auto bad = good;
    bad.common.pubsub_names = true;
    CHECK(refused(bad));
    bad = good;
    bad.common.expiry = std::chrono::seconds(0);
    CHECK(refused(bad));
    bad = good;
    bad.undelivered_events_max = 1;
    CHECK(refused(bad));
    mailboxes boxes({}, counted);
    CHECK_FALSE(redis_layer::make(good, nullptr, &boxes, silent_log(), counted));
}
