// What a client does when the server is wrong, silent, hostile, or somebody else.
#include <doctest/doctest.h>

#include <atomic>

#include "net/redis/test_fake.hpp"
#include "net/redis/test_redis.hpp"
#include "net/redis/test_witness.hpp"

using namespace carillon;
using namespace carillon::net::redis;
using namespace carillon::net::redis::test;
using namespace std::chrono_literals;

namespace {

// To CLIENT SETNAME and PING, which arrive together, as Redis would; `to_others` to the rest.
fake_server::answering signs_in_then(const std::string& to_others) {
    return [=](const std::string& received) {
        return received.find("SETNAME") != std::string::npos ? "+OK\r\n+PONG\r\n" : to_others;
    };
}

} // namespace

TEST_CASE("a wrong password is logged once, and tried again until it is right") {
    if (no_redis())
        return;
    server redis({"--requirepass", "another"});
    loop_thread on;
    witness tester(on, "redis://:hunter2@127.0.0.1:" + std::to_string(redis.port()));
    REQUIRE(tester.wait_down());
    CHECK(tester.now_seen().last.code == errc::unauthorized);
    witness owner(on, "redis://:another@127.0.0.1:" + std::to_string(redis.port()));
    REQUIRE(owner.wait_up());
    // several refusals later
    std::string errors;
    while (errors.find("errorstat_WRONGPASS:count=3") == std::string::npos)
        errors = owner.ask({"INFO", "errorstats"})->text;
    REQUIRE(owner.ask({"CONFIG", "SET", "requirepass", "hunter2"}));
    REQUIRE(tester.wait_up());
    CHECK(tester.now_seen().downs == 1);
    CHECK(tester.log.count("refuses the user name or the password") == 1);
    CHECK(tester.log.all().size() == 2);
    CHECK(tester.log.count("hunter2") == 0);
}

TEST_CASE("a server that wants a password where none is configured says so") {
    if (no_redis())
        return;
    server redis({"--requirepass", "secret"});
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_down());
    CHECK(tester.now_seen().last.code == errc::unauthorized);
    CHECK(tester.log.count("it wants a password, and none is configured") == 1);
}

TEST_CASE("a database that does not exist is told apart from a server that is away") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url() + "/99");
    REQUIRE(tester.wait_down());
    CHECK(tester.now_seen().last.code == errc::invalid);
    CHECK(tester.log.count("it has no database 99") == 1);
}

TEST_CASE(
    "a server that accepts and never answers is down after the connect timeout, and told once") {
    std::atomic<int> asked{0};
    fake_server silent([&](const std::string&) {
        ++asked;
        return std::string();
    });
    loop_thread on;
    auto options = witness::quick();
    options.connect_timeout = 100ms;
    witness tester(on, silent.url(), options);
    REQUIRE(tester.wait_down());
    witness second(on, silent.url(), options); // as long as several attempts of the first take
    REQUIRE(second.wait_down());
    witness third(on, silent.url(), options);
    REQUIRE(third.wait_down());
    CHECK(asked >= 4);
    CHECK(tester.now_seen().downs == 1);
    CHECK(tester.now_seen().ups == 0);
    CHECK(tester.log.all().size() == 1);
    CHECK(tester.log.count("no answer in time") == 1);
}

TEST_CASE("a server that answers garbage costs the connection, and each command is told once") {
    fake_server hostile(signs_in_then("HTTP/1.1 400 Bad Request\r\n\r\n"));
    loop_thread on;
    witness tester(on, hostile.url());
    REQUIRE(tester.wait_up());
    const auto told = tester.ask({"GET", "x"});
    REQUIRE_FALSE(told);
    CHECK(told.error().code == errc::unavailable);
    REQUIRE(tester.wait_down());
    CHECK(tester.now_seen().last.code == errc::corrupt);
    REQUIRE(tester.wait_up(2));
}

TEST_CASE("garbage instead of a sign-in is a refusal") {
    fake_server hostile(
        [](const std::string&) { return std::string("220 mail.example ESMTP\r\n"); });
    loop_thread on;
    witness tester(on, hostile.url());
    REQUIRE(tester.wait_down());
    CHECK(tester.now_seen().ups == 0);
}

TEST_CASE("a reply that nobody asked for costs the connection") {
    fake_server chatty(signs_in_then("+OK\r\n+OK\r\n"));
    loop_thread on;
    witness tester(on, chatty.url());
    REQUIRE(tester.wait_up());
    CHECK(tester.ask({"GET", "x"})->text == "OK");
    REQUIRE(tester.wait_down());
    CHECK(tester.now_seen().last.code == errc::corrupt);
}

TEST_CASE("a server that is not the one for commands is told, and left") {
    for (const std::string code : {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH", "READONLY"}) {
        CAPTURE(code);
        fake_server wrong(signs_in_then("-" + code + " not now\r\n"));
        loop_thread on;
        witness tester(on, wrong.url());
        REQUIRE(tester.wait_up());
        const auto told = tester.ask({"SET", "x", "y"});
        REQUIRE(told);
        CHECK(told->error_code() == code);
        REQUIRE(tester.wait_down());
        CHECK(tester.now_seen().last.message.find(code) != std::string::npos);
    }
}

TEST_CASE("LOADING at the sign-in is not up") {
    fake_server loading([](const std::string&) { return std::string("+OK\r\n-LOADING wait\r\n"); });
    loop_thread on;
    witness tester(on, loading.url());
    REQUIRE(tester.wait_down());
    CHECK(tester.now_seen().ups == 0);
    CHECK(tester.log.count("LOADING") == 1);
}

TEST_CASE("attempts are spaced by the back-off, which grows to its maximum") {
    constexpr int attempts = 12;
    std::atomic<int> asked{0};
    std::promise<void> enough;
    fake_server loading([&](const std::string&) {
        if (++asked == attempts)
            enough.set_value();
        return std::string("+OK\r\n-LOADING wait\r\n");
    });
    loop_thread on;
    const auto before = now();
    witness tester(on, loading.url()); // 10 ms doubled up to 100 ms, at least half of each
    REQUIRE(enough.get_future().wait_for(std::chrono::milliseconds(patience_milliseconds)) ==
            std::future_status::ready);
    CHECK(now() - before >= (10 + 20 + 40 + 80 + 7 * 100) * 1ms / 2);
    CHECK(tester.log.all().size() == 1);
}

TEST_CASE("a master that became a replica is left until it is a master again") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness tester(on, redis.url());
    witness owner(on, redis.url());
    REQUIRE(tester.wait_up());
    REQUIRE(owner.wait_up());
    REQUIRE(owner.ask({"REPLICAOF", "127.0.0.1", std::to_string(free_port())}));
    const auto told = tester.ask({"SET", "x", "y"});
    REQUIRE(told);
    CHECK(told->error_code() == "READONLY");
    REQUIRE(tester.wait_down());
    // it reads well all the time, and is not taken for recovered
    for (;;) {
        const auto stats = owner.ask({"INFO", "commandstats"});
        REQUIRE(stats);
        if (stats->text.find("cmdstat_role:calls=1,") == std::string::npos &&
            stats->text.find("cmdstat_role:calls=") != std::string::npos)
            break;
    }
    CHECK(tester.now_seen().ups == 1);
    REQUIRE(owner.ask({"REPLICAOF", "NO", "ONE"}));
    REQUIRE(tester.wait_up(2));
    CHECK(tester.ask({"SET", "x", "y"})->text == "OK");
    CHECK(tester.log.count("Redis is away") == 1);
    CHECK(tester.log.count("Redis is back") == 1);
}

TEST_CASE(
    "a server that is stopped is noticed by connections that say nothing, subscribed or not") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    auto options = witness::quick();
    options.command_timeout = 300ms;
    options.connect_timeout = 300ms;
    witness idle(on, redis.url(), options);
    witness subscribed(on, redis.url(), options);
    REQUIRE(idle.wait_up());
    REQUIRE(subscribed.wait_up());
    subscribed.call([](client& c) { c.send_push({"SUBSCRIBE", "news"}); });
    REQUIRE(subscribed.wait([](const auto& s) { return !s.pushed.empty(); }));
    redis.pause();
    REQUIRE(idle.wait_down());
    REQUIRE(subscribed.wait_down());
    CHECK(idle.now_seen().last.code == errc::timed_out);
    CHECK(subscribed.now_seen().last.code == errc::timed_out);
    redis.resume();
    REQUIRE(idle.wait_up(2));
    REQUIRE(subscribed.wait_up(2));
}

TEST_CASE("a quiet subscription is asked for a sign of life, and stays up") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    witness subscribed(on, redis.url());
    REQUIRE(subscribed.wait_up());
    subscribed.call([](client& c) { c.send_push({"SUBSCRIBE", "news"}); });
    witness monitor(on, redis.url());
    REQUIRE(monitor.wait_up());
    monitor.call([](client& c) { c.send_push({"MONITOR"}); });
    REQUIRE(monitor.wait([](const auto& s) {
        return !s.pushed.empty() && s.pushed.back().text.find("PING") != std::string::npos;
    }));
    witness publisher(on, redis.url());
    REQUIRE(publisher.wait_up());
    CHECK(publisher.ask({"PUBLISH", "news", "hello"})->number == 1);
    REQUIRE(subscribed.wait([](const auto& s) { return s.pushed.size() == 2; }));
    const auto seen = subscribed.now_seen(); // the pong is not among them
    CHECK(seen.pushed[0].items[0].text == "subscribe");
    CHECK(seen.pushed[1].items[2].text == "hello");
    CHECK(seen.downs == 0);
}

TEST_CASE("subscribing keeps what was asked before, and errors are pushed") {
    if (no_redis())
        return;
    server redis({"--user", "default", "on", "nopass", "~*", "&allowed", "+@all"});
    loop_thread on;
    witness tester(on, redis.url());
    REQUIRE(tester.wait_up());
    std::promise<std::string> first;
    tester.call([&](client& c) {
        c.send({"ECHO", "one"}, [&](result<reply> got) { first.set_value(got->text); });
        c.send_push({"SUBSCRIBE", "forbidden"});
        c.send_push({"SUBSCRIBE", "allowed"});
    });
    CHECK(first.get_future().get() == "one");
    REQUIRE(tester.wait([](const auto& s) { return s.pushed.size() == 2; }));
    CHECK(tester.now_seen().pushed[0].error_code() == "NOPERM");
    CHECK(tester.now_seen().pushed[1].items[1].text == "allowed");
    CHECK(tester.call([](client& c) { return c.up() && c.pending_bytes() == 0; }));
}

TEST_CASE("a client may be destroyed inside any of its calls, and tells the rest") {
    if (no_redis())
        return;
    server redis;
    struct watcher final : client_events {
        std::optional<client> held;
        std::function<void()> up, down, push;
        void on_up() noexcept override {
            if (up)
                up();
        }
        void on_down(const failure&) noexcept override {
            if (down)
                down();
        }
        void on_push(reply) noexcept override {
            if (push)
                push();
        }
    };
    metrics counted;
    client_counters counters(counted);
    loop_thread on;
    for (const std::string place : {"up", "down", "told", "push", "lost"}) {
        CAPTURE(place);
        watcher one;
        std::promise<void> gone;
        std::vector<errc> told;
        const auto remember = [&](result<reply> got) {
            told.push_back(got ? errc::internal : got.error().code);
        };
        const auto destroy = [&] {
            one.held.reset();
            gone.set_value();
        };
        one.down = [&] {
            if (place == "down")
                destroy();
        };
        one.push = [&] { destroy(); };
        one.up = [&] {
            if (place == "up") {
                one.held->send({"PING"}, remember);
                return destroy();
            }
            if (place == "push")
                return one.held->send_push({"SUBSCRIBE", "x"});
            one.held->send({place == "lost" ? "QUIT" : "PING"}, [&](auto) {
                if (place == "told")
                    destroy();
            });
            one.held->send({"BLPOP", "x", "0"}, [&](auto got) {
                remember(std::move(got));
                if (place == "lost")
                    destroy();
            });
            one.held->send({"BLPOP", "x", "0"}, remember);
        };
        on.call([&] {
            auto where = place == "down" ? std::string("redis://127.0.0.1:1") : redis.url();
            one.held.emplace(on.get(), parse_addresses(where)->hosts[0], witness::quick(), one,
                             silent_log(), counters);
            one.held->start();
        });
        gone.get_future().get();
        const auto seen = on.call([&] { return told; });
        if (place == "up")
            CHECK(seen == std::vector{errc::cancelled});
        else if (place == "told")
            CHECK(seen == std::vector{errc::cancelled, errc::cancelled});
        else if (place == "lost")
            CHECK(seen == std::vector{errc::unavailable, errc::cancelled});
        else
            CHECK(seen.empty());
    }
}

TEST_CASE("a refusal that was not told yet is cancelled with the client") {
    loop_thread on;
    auto tester = std::make_optional<witness>(on, "redis://127.0.0.1:1");
    std::vector<errc> told;
    tester->call([&](client& c) {
        c.send({"PING"}, [&](result<reply> got) { told.push_back(got.error().code); });
        CHECK(told.empty());
    });
    tester.reset();
    REQUIRE(told.size() == 1); // cancelled, or refused when the loop was faster
    CHECK((told[0] == errc::cancelled || told[0] == errc::unavailable));
}

TEST_CASE("host names are looked up beside the loop, and a client may go meanwhile") {
    if (no_redis())
        return;
    server redis;
    loop_thread on;
    const auto local = "redis://localhost:" + std::to_string(redis.port());
    witness tester(on, local);
    REQUIRE(tester.wait_up());
    CHECK(tester.ask({"PING"})->text == "PONG");
    for (int i = 0; i < 20; ++i)
        witness(on, local).call([](client& c) { CHECK(c.where().servers[0].host == "localhost"); });
    // a label that is too long for any name service, so that nobody is asked
    witness nowhere(on, "redis://" + std::string(70, 'x') + ".example");
    REQUIRE(nowhere.wait_down());
    CHECK(nowhere.log.count("is not found") == 1);
}

TEST_CASE("ask() asks one question, and says what is wrong") {
    if (no_redis())
        return;
    server redis({"--requirepass", "secret"});
    const auto at = [](const std::string& url) { return parse_addresses(url)->hosts[0]; };
    const auto end = "127.0.0.1:" + std::to_string(redis.port());
    CHECK(ask(at("redis://:secret@" + end), {"PING"}, 5s)->text == "PONG");
    CHECK(ask(at("unix://:secret@" + redis.socket_path()), {"PING"}, 5s)->text == "PONG");
    CHECK(
        ask(at("redis://:secret@localhost:" + std::to_string(redis.port())), {"PING"}, 5s)->text ==
        "PONG");
    CHECK(ask(at("redis://:secret@" + end), {"NONSENSE"}, 5s)->is_error());
    CHECK(ask(at("redis://:wrong@" + end), {"PING"}, 5s).error().code == errc::unauthorized);
    CHECK(ask(at("redis://" + end), {"PING"}, 5s).error().code == errc::unauthorized);
    CHECK(ask(at("redis://:secret@" + end + "/99"), {"PING"}, 5s).error().code == errc::invalid);
    CHECK(ask(at("redis://127.0.0.1:1"), {"PING"}, 5s).error().code == errc::unavailable);
    CHECK(ask(at("unix:///nonexistent/redis.sock"), {"PING"}, 5s).error().code ==
          errc::unavailable);
    CHECK(ask(at("unix:///" + std::string(200, 'x')), {"PING"}, 5s).error().code == errc::invalid);
    CHECK(ask(at("redis://:secret@" + end), {"BLPOP", "x", "0"}, 100ms).error().code ==
          errc::timed_out);
    fake_server silent([](const std::string&) { return std::string(); });
    const auto late = ask(at(silent.url()), {"PING"}, 100ms);
    REQUIRE_FALSE(late);
    CHECK((late.error().code == errc::timed_out || late.error().code == errc::unavailable));
}
