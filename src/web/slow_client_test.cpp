// Clients that read slower than they are sent to.

#include <doctest/doctest.h>

#include "web/test_server.hpp"
#include <carillon/wire/json.hpp>

using namespace carillon;
using namespace carillon::web::test;

namespace {

event flood_of(int frames) { return event("flood", {{"number", frames}}); }

// Sends frames of 10,000 bytes when an event says how many.
class flooding final : public consumer {
public:
    static event_handlers events() { return {on("flood", &flooding::flood)}; }

private:
    task<> on_connect(const scope&) override {
        join("all");
        accept();
        send("ready");
        return {};
    }
    void flood(const event& e) {
        for (std::int64_t i = 0; i < e["number"].to_int(); ++i)
            send(std::string(10'000, 'f'));
    }
};

} // namespace

TEST_CASE(
    "a client that does not read is closed with 4408, or misses frames where the route says so") {
    test_setup setup;
    setup.limit.outbox_bytes_soft = 100'000;
    setup.limit.outbox_bytes_max = 300'000;
    test_server server({websocket<flooding>("/close/"),
                        websocket<flooding>("/drop/").when_slow(slow_policy::drop_newest)},
                       setup);
    ws_client closed(server.port(), 4096), dropped(server.port(), 4096);
    CHECK(closed.open("/close/").status == 101);
    CHECK(closed.message() == "ready");
    CHECK(dropped.open("/drop/").status == 101);
    CHECK(dropped.message() == "ready");
    for (int i = 0; i < 40; ++i) {
        CHECK(server.layer().group_send("all", flood_of(25)));
        server.on_shard(0, [] {});
    }
    CHECK(closed.close_code() == 4408);
    CHECK(server.metric("carillon_slow_closed_total") == 1);
    const auto missed = server.metric("carillon_slow_dropped_total");
    CHECK(missed > 0);
    for (int i = 0; i < 1000 - static_cast<int>(missed); ++i)
        CHECK(dropped.message().size() == 10'000);
    CHECK(server.layer().group_send("all", flood_of(1)));
    CHECK(dropped.message().size() == 10'000);
}

namespace {

// Positions of things: the newest is all that counts.
class positions final : public consumer {
public:
    static event_handlers events() { return {on("moved", &positions::moved)}; }

private:
    task<> on_connect(const scope&) override {
        join("map");
        accept();
        send("ready");
        return {};
    }
    void moved(const event& e) { send(e); }
};

event moved(int thing, int step) {
    return event("moved", {{"thing", thing}, {"step", step}, {"pad", std::string(10'000, 'p')}});
}

} // namespace

TEST_CASE(
    "a slow client of a conflating route gets the newest event of each key when it has caught up") {
    test_setup setup;
    setup.limit.outbox_bytes_soft = 100'000;
    test_server server({websocket<positions>("/map/").conflate("thing")}, setup);
    ws_client slow(server.port(), 4096);
    CHECK(slow.open("/map/").status == 101);
    CHECK(slow.message() == "ready");
    constexpr int steps = 2000;
    for (int step = 1; step <= steps; ++step) {
        CHECK(server.layer().group_send("map", moved(step % 2, step)));
        server.on_shard(0, [] {});
    }
    const auto replaced = static_cast<int>(server.metric("carillon_slow_dropped_total"));
    CHECK(replaced > steps / 2);
    std::int64_t newest[2] = {0, 0};
    for (int i = 0; i < steps - replaced; ++i) {
        const auto seen = parse_json(slow.message()).value();
        auto& last = newest[seen["thing"].to_int()];
        CHECK(seen["step"].to_int() > last);
        last = seen["step"].to_int();
    }
    CHECK(newest[0] == steps);
    CHECK(newest[1] == steps - 1);
    CHECK(server.metric("carillon_slow_closed_total") == 0);
}

TEST_CASE("a client that stays above the soft limit too long is closed although it takes a little "
          "now and then") {
    test_setup setup;
    setup.limit.outbox_bytes_soft = 10'000;
    setup.limit.outbox_bytes_max = 64u << 20;
    setup.limit.outbox_soft_duration = std::chrono::seconds(1);
    test_server server({websocket<flooding>("/close/")}, setup);
    ws_client sipping(server.port(), 4096);
    CHECK(sipping.open("/close/").status == 101);
    CHECK(sipping.message() == "ready");
    CHECK(server.layer().group_send("all", flood_of(2000)));
    const auto end = now() + std::chrono::seconds(patience_seconds);
    auto last_sip = now();
    while (server.metric("carillon_slow_closed_total") == 0 && now() < end) {
        server.on_shard(0, [] {});
        if (now() - last_sip < std::chrono::milliseconds(1))
            continue;
        sipping.take(200);
        last_sip = now();
    }
    CHECK(server.metric("carillon_slow_closed_total") == 1);
}
