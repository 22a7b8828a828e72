#include "jobs/beat/slot_store.hpp"

#include <functional>
#include <thread>

#include <doctest/doctest.h>

#include "jobs/beat/test_beat.hpp"
#include "jobs/test_support.hpp"

namespace carillon::jobs {

namespace {

using namespace std::chrono_literals;
using net::redis::test::folder;
using testing::at;
using testing::file_in;
using testing::soon;

// Two beats that share what `open` opens; claims, leases and confirmations of it.
void check_shared(const std::function<std::unique_ptr<slot_store>()>& open) {
    const auto a = open(), b = open();
    const auto start = at("2026-01-01T00:00:00Z"), slot = start + 60s;
    CHECK(a->position("e", start).value() == start);
    CHECK(b->position("e", start + 5s).value() == start);
    CHECK(a->claim("e", slot, 20s, start).value() == slot_claim::granted);
    CHECK(b->claim("e", slot, 20s, start).value() == slot_claim::held);
    CHECK(a->claim("e", slot, 20s, start).value() == slot_claim::granted); // again, by who has it
    REQUIRE(a->confirm("e", slot));
    CHECK(b->claim("e", slot, 20s, start).value() == slot_claim::served);
    CHECK(b->claim("e", slot - 30s, 20s, start).value() == slot_claim::served); // an older one
    CHECK(a->position("e", start).value() == slot);
    // a beat that dies: others serve later moments, and its own when the lease is over
    const auto next = slot + 60s;
    CHECK(a->claim("e", next, 200ms, start).value() == slot_claim::granted);
    CHECK(b->claim("e", next, 20s, start).value() == slot_claim::held);
    CHECK(b->claim("e", next + 60s, 20s, start).value() == slot_claim::granted);
    REQUIRE(b->confirm("e", next + 60s));
    for (const auto end = soon(); b->abandoned().value().empty() && now() < end;)
        std::this_thread::yield();
    REQUIRE(b->abandoned().value().size() == 1);
    CHECK(b->abandoned().value()[0].entry == "e");
    CHECK(b->abandoned().value()[0].slot == next);
    CHECK(b->claim("e", next, 20s, start).value() == slot_claim::granted);
    CHECK(a->claim("e", next, 20s, start).value() == slot_claim::held);
    CHECK(a->abandoned().value().empty());
    REQUIRE(b->confirm("e", next));
    CHECK(a->claim("e", next, 20s, start).value() == slot_claim::served);
    // one that is released is anybody's at once, until it is too old to be of use
    const auto third = next + 120s;
    CHECK(a->claim("e", third, 20s, start).value() == slot_claim::granted);
    REQUIRE(b->release("e", third));
    CHECK(b->claim("e", third, 20s, start).value() == slot_claim::held); // b could not: it is a's
    REQUIRE(a->release("e", third));
    CHECK(b->abandoned().value().size() == 1);
    CHECK(b->claim("e", third, 20s, start).value() == slot_claim::granted);
    REQUIRE(b->release("e", third));
    CHECK(a->claim("e", third + 1s, 20s, third).value() == slot_claim::granted);
    CHECK(a->abandoned().value().size() == 1);
    REQUIRE(a->confirm("e", third + 1s));
    CHECK(a->claim("e", third + 60s, 20s, third + 1s).value() == slot_claim::granted);
    CHECK(a->abandoned().value().empty());
    REQUIRE(a->confirm("e", third + 60s));
    CHECK(b->claim("e", third, 20s, start).value() == slot_claim::served);
    // another entry knows nothing of this one
    CHECK(b->position("f", start).value() == start);
    CHECK(b->claim("f", slot, 20s, start).value() == slot_claim::granted);
}

} // namespace

TEST_CASE("the file of moments is shared by processes, and a lease returns what a dead beat held") {
    folder files;
    check_shared([&] { return file_in(files); });
}

TEST_CASE("so are moments in Redis") {
    if (net::redis::test::no_redis())
        return;
    net::redis::test::server server;
    check_shared([&] { return open_redis_slots(server.url() + "/3", "our-").value(); });
    const auto other = open_redis_slots(server.url() + "/3").value();
    const auto start = at("2026-01-01T00:00:00Z");
    CHECK(other->position("e", start).value() == start); // the prefix parts applications
    server.pause();
    const auto begun = now();
    std::thread impatient([&] { other->give_up(); });
    CHECK(other->position("e", start).error().code == errc::cancelled);
    impatient.join();
    CHECK(other->position("e", start).error().code == errc::cancelled);
    CHECK(now() - begun < 5s); // not its own patience
    server.kill();
    const auto third = open_redis_slots(server.url() + "/3").value();
    CHECK(third->position("e", start).error().code == errc::unavailable);
    CHECK_FALSE(open_redis_slots("http://nowhere"));
}

} // namespace carillon::jobs
