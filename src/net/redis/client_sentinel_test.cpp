// Sentinels that know the master, a real one with a master, a replica and a failover.
#include <doctest/doctest.h>

#include "net/redis/test_fake.hpp"
#include "net/redis/test_redis.hpp"
#include "net/redis/test_witness.hpp"

using namespace carillon;
using namespace carillon::net::redis;
using namespace carillon::net::redis::test;
using namespace std::chrono_literals;

namespace {

std::string at(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

// A Sentinel's answer: the master is at this port.
fake_server::answering names(std::uint16_t port) {
    return [=](const std::string&) {
        const auto text = std::to_string(port);
        return "*2\r\n$9\r\n127.0.0.1\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    };
}

// Asks until the text of the answer holds what is wanted.
bool comes_to_hold(witness& of, const command& what, const std::string& wanted) {
    for (const auto end = now() + std::chrono::milliseconds(patience_milliseconds); now() < end;)
        if (const auto got = of.ask(what); got && got->text.find(wanted) != std::string::npos)
            return true;
    return false;
}

} // namespace

TEST_CASE("after a failover the Sentinel leads to the new master") {
    if (no_redis())
        return;
    server master;
    server replica({"--replicaof", "127.0.0.1", std::to_string(master.port())});
    loop_thread on;
    {
        witness direct(on, master.url());
        REQUIRE(direct.wait_up());
        REQUIRE(comes_to_hold(direct, {"INFO", "replication"}, "state=online"));
    }
    server sentinel({"--sentinel", "--sentinel", "monitor", "mymaster", "127.0.0.1",
                     std::to_string(master.port()), "1", "--sentinel", "down-after-milliseconds",
                     "mymaster", "500", "--sentinel", "failover-timeout", "mymaster", "3000"});
    witness sentinel_itself(on, sentinel.url());
    witness tester(on, "redis+sentinel://127.0.0.1:1," + at(sentinel.port()) + "/mymaster/3");
    REQUIRE(tester.wait_up());
    REQUIRE(sentinel_itself.wait_up());
    REQUIRE(comes_to_hold(sentinel_itself, {"INFO", "sentinel"}, "slaves=1"));
    CHECK(tester.ask({"SET", "kept", "yes"})->text == "OK");
    CHECK(tester.ask({"WAIT", "1", "5000"})->number == 1);
    master.kill();
    REQUIRE(tester.wait_up(2));
    CHECK(tester.ask({"GET", "kept"})->text == "yes");
    CHECK(tester.ask({"SET", "kept", "still"})->text == "OK");
    CHECK(tester.log.count(at(replica.port())) == 1);
    CHECK(tester.now_seen().downs == 1);
    CHECK(tester.log.all().size() == 2);
}

TEST_CASE("a replica that a Sentinel names is refused, and the next Sentinel is asked") {
    if (no_redis())
        return;
    server master;
    server replica({"--replicaof", "127.0.0.1", std::to_string(master.port())});
    fake_server late(names(replica.port())), right(names(master.port()));
    loop_thread on;
    witness tester(on, "redis+sentinel://" + at(late.port()) + "," + at(right.port()) + "/m");
    REQUIRE(tester.wait_up());
    CHECK(tester.ask({"SET", "x", "y"})->text == "OK");
    CHECK(tester.now_seen().downs == 0);
    fake_server also_late(names(replica.port()));
    witness lost(on, "redis+sentinel://" + at(late.port()) + "," + at(also_late.port()) + "/m");
    REQUIRE(lost.wait_down());
    CHECK(lost.now_seen().last.message.find("it is no master") != std::string::npos);
    CHECK(lost.now_seen().ups == 0);
}

TEST_CASE("Sentinels that do not answer, or do not know the master, are passed over") {
    if (no_redis())
        return;
    server master;
    fake_server silent([](const std::string&) { return std::string(); });
    fake_server ignorant([](const std::string&) { return std::string("*-1\r\n"); });
    fake_server nonsense(
        [](const std::string&) { return std::string("*2\r\n$0\r\n\r\n$1\r\nx\r\n"); });
    fake_server knowing(names(master.port()));
    loop_thread on;
    witness tester(on, "redis+sentinel://" + at(silent.port()) + "," + at(ignorant.port()) + "," +
                           at(nonsense.port()) + "," + at(knowing.port()) + "/m");
    REQUIRE(tester.wait_up());
    CHECK(tester.ask({"PING"})->text == "PONG");
    witness lost(on, "redis+sentinel://" + at(ignorant.port()) + "/m");
    REQUIRE(lost.wait_down());
    CHECK(lost.now_seen().last.message.find("knows no master named m") != std::string::npos);
}

TEST_CASE("a Sentinel has a user and a password of its own") {
    if (no_redis())
        return;
    server master({"--requirepass", "of-master"});
    server sentinel({"--sentinel", "--requirepass", "of-sentinel", "--sentinel", "monitor", "m",
                     "127.0.0.1", std::to_string(master.port()), "1", "--sentinel", "auth-pass",
                     "m", "of-master"});
    loop_thread on;
    const auto url = "redis+sentinel://:of-master@" + at(sentinel.port()) + "/m";
    witness tester(on, url + "?sentinel_password=of-sentinel");
    REQUIRE(tester.wait_up());
    CHECK(tester.ask({"PING"})->text == "PONG");
    witness wrong(on, url + "?sentinel_password=of-master");
    REQUIRE(wrong.wait_down());
    CHECK(wrong.now_seen().last.code == errc::unauthorized);
    CHECK(wrong.log.count("the Sentinel at " + at(sentinel.port())) == 1);
}
