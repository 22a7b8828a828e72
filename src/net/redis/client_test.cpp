#include <doctest/doctest.h>

#include <memory>
#include <numeric>

#include "net/redis/test_redis.hpp"
#include "net/redis/test_witness.hpp"

using namespace carillon;
using namespace carillon::net::redis;
using namespace carillon::net::redis::test;
using namespace std::chrono_literals;

namespace {

// Many commands under way, and what each was told.
struct crowd {
    std::vector<int> told;      // how often, by command
    std::vector<errc> failures; // of those that failed
    std::vector<std::int64_t> numbers;
    std::size_t left = 0;
    std::promise<void> all;

    void send(client& through, std::size_t many, const command& what) {
        told.assign(many, 0);
        left = many;
        for (std::size_t i = 0; i < many; ++i)
            through.send(what, [this, i](result<reply> got) {
                if (got)
                    numbers.push_back(got->number);
                else
                    failures.push_back(got.error().code);
                ++told[i];
                if (--left == 0)
                    all.set_value();
            });
    }
    bool each_once() const {
        return std::all_of(told.begin(), told.end(), [](int n) { return n == 1; });
    }
    bool wait() {
        return all.get_future().wait_for(std::chrono::milliseconds(patience_milliseconds)) ==
               std::future_status::ready;
    }
};

} // namespace

TEST_CASE("ten thousand commands of one turn are answered in their order") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    crowd many;
    tester.call([&](client& c) {
        many.send(c, 10'000, {"INCR", "n"});
        CHECK(many.numbers.empty()); // nothing is told from inside send()
        CHECK(c.pending_commands() == 10'000);
        CHECK(c.pending_bytes() == 10'000 * command{"INCR", "n"}.bytes().size());
    });
    REQUIRE(many.wait());
    std::vector<std::int64_t> expected(10'000);
    std::iota(expected.begin(), expected.end(), 1);
    CHECK(many.numbers == expected);
    CHECK(many.each_once());
    CHECK(tester.call([](client& c) { return c.pending_commands() + c.pending_bytes(); }) == 0);
    CHECK(tester.counters.commands.get() == 10'000);
    CHECK(tester.counters.micros.get() > 0);
    CHECK(tester.counters.errors.get() == 0);
}

TEST_CASE("a reply of many megabytes comes whole, and a command of many goes") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, "unix://" + redis.socket_path());
    REQUIRE(tester.wait_up());
    std::string large(8'000'000, 'x');
    large.replace(4'000'000, 4, "\r\n\0\xff", 4);
    CHECK(tester.ask({"SET", "large", large})->text == "OK");
    CHECK(tester.ask({"GET", "large"})->text == large);
}

TEST_CASE("an error reply is a reply, and is counted") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    REQUIRE(tester.ask({"SET", "text", "abc"}));
    const auto wrong = tester.ask({"INCR", "text"});
    REQUIRE(wrong);
    CHECK(wrong->is_error());
    CHECK(tester.counters.errors.get() == 1);
    CHECK(tester.call([](client& c) { return c.up(); }));
}

TEST_CASE("SELECT, CLIENT SETNAME, a unix socket, a user of the access list") {
    if (no_redis())
        return;
    server redis(
        {"--user", "default", "off", "--user", "worker", "on", ">se/cr:et", "~*", "&*", "+@all"});
    loop_thread on;
    for (const auto& where :
         {"redis://worker:se%2Fcr%3Aet@127.0.0.1:" + std::to_string(redis.port()) + "/7",
          "unix://worker:se%2Fcr%3Aet@" + redis.socket_path() + "?db=7"}) {
        witness tester(on, where);
        REQUIRE(tester.wait_up());
        const auto info = tester.ask({"CLIENT", "INFO"});
        REQUIRE(info);
        CHECK(info->text.find(" db=7 ") != std::string::npos);
        CHECK(info->text.find(" name=carillon ") != std::string::npos);
        CHECK(info->text.find(" user=worker ") != std::string::npos);
    }
}

TEST_CASE("a command sent while nothing is connected is refused, later and once") {
    loop_thread on;
    witness tester(on, "redis://127.0.0.1:" + std::to_string(free_port()));
    REQUIRE(tester.wait_down());
    const auto refused = tester.ask({"PING"});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::unavailable);
    CHECK(tester.now_seen().ups == 0);
    CHECK_FALSE(tester.call([](client& c) { return c.trouble(); }).empty());
}

TEST_CASE("a killed server is one loss and, started again, one recovery") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    redis.kill();
    REQUIRE(tester.wait_down());
    REQUIRE_FALSE(tester.ask({"PING"}));
    redis.restart();
    REQUIRE(tester.wait_up(2));
    CHECK(tester.ask({"PING"})->text == "PONG");
    const auto seen = tester.now_seen();
    CHECK(seen.downs == 1);
    CHECK(seen.last.code == errc::unavailable);
    CHECK(tester.log.all().size() == 2);
    CHECK(tester.log.count("Redis is away") == 1);
    CHECK(tester.log.count("Redis is back") == 1);
    CHECK(tester.counters.reconnects.get() == 1);
    CHECK(tester.counters.connection_losses.get() == 1);
}

TEST_CASE(
    "a connection killed under load tells each command exactly once, and then that it is down") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    const auto id = tester.ask({"CLIENT", "ID"})->number;
    witness killer(on, redis.url());
    REQUIRE(killer.wait_up());
    crowd many;
    // the kill arrives while the server reads what the other connection has sent
    tester.call([&](client& c) { many.send(c, 5'000, {"BLPOP", "nothing", "0"}); });
    CHECK(killer.ask(command("CLIENT").add("KILL").add("ID").add(id))->number == 1);
    REQUIRE(many.wait());
    REQUIRE(tester.wait_down());
    CHECK(many.each_once());
    CHECK(many.failures.size() == 5'000);
    REQUIRE(tester.wait_up(2));
    CHECK(tester.ask({"PING"})->text == "PONG");
    CHECK(many.each_once());
}

TEST_CASE("a stopped server is noticed by the command that waits for it") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    auto options = witness::quick();
    options.connect_timeout = 300ms;
    witness tester(on, redis.url(), options);
    REQUIRE(tester.wait_up());
    redis.pause();
    const auto before = now();
    const auto late = tester.ask({"PING"}, 200ms);
    REQUIRE_FALSE(late);
    CHECK(late.error().code == errc::timed_out);
    CHECK(now() - before >= 200ms);
    REQUIRE(tester.wait_down());
    redis.resume();
    REQUIRE(tester.wait_up(2));
    CHECK(tester.ask({"PING"})->text == "PONG");
    CHECK(tester.now_seen().downs == 1);
}

TEST_CASE("what is sent from inside on_up leaves before everything else") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    std::vector<std::string> order;
    on.call([&] {
        tester.when_up = [&](client& c) {
            c.send({"GET", "who"}, [&](result<reply> got) { order.push_back(got->text); });
        };
    });
    REQUIRE(tester.ask({"SET", "who", "nobody"}));
    redis.kill();
    REQUIRE(tester.wait_down());
    redis.restart();
    REQUIRE(tester.wait_up(2));
    REQUIRE(tester.ask({"SET", "who", "somebody"}));
    CHECK(on.call([&] { return order; }) == std::vector<std::string>{""});
}

TEST_CASE("what a stopped server does not take is counted, and arrives when it goes on") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    redis.pause();
    const command large{"APPEND", "text", std::string(1'000'000, 'x')};
    crowd many;
    tester.call([&](client& c) { many.send(c, 20, large); });
    CHECK(tester.call([](client& c) { return c.pending_bytes(); }) == 20 * large.bytes().size());
    redis.resume();
    REQUIRE(many.wait());
    CHECK(many.numbers.back() == 20'000'000);
    CHECK(tester.call([](client& c) { return c.pending_bytes(); }) == 0);
    CHECK(tester.now_seen().downs == 0);
}

TEST_CASE("a command behind one that waits has the time of that one") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    std::promise<bool> nothing;
    tester.call([&](client& c) {
        c.send(
            {"BLPOP", "empty", "0.3"}, [&](auto got) { nothing.set_value(got->is_nil()); }, 5s);
    });
    CHECK(tester.ask({"PING"}, 50ms)->text == "PONG");
    CHECK(nothing.get_future().get());
    CHECK(tester.now_seen().downs == 0);
}
