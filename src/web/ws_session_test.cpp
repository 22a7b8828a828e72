// WebSockets as a client sees them: the handshake, consumers of every kind, time limits, the end of the server.

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "web/test_server.hpp"
#include <carillon/net/waits.hpp>
#include <carillon/wire/json.hpp>

using namespace carillon;
using namespace carillon::web::test;
namespace frames = carillon::wire::ws::test;

namespace {

constexpr auto number_only = only("number");

// Does what its path says.
class obedient final : public consumer {
public:
    explicit obedient(told& heard) : heard_(heard) {}

private:
    task<> on_connect(const scope& asked) override {
        const auto what = asked.kwarg("what");
        if (what == "deny")
            deny(403);
        if (what == "nothing")
            co_return;
        if (what == "close")
            co_return close(close_code::no_such_object, "no such object");
        if (what == "protocol")
            co_return accept("chat", {{"X-Extra", "1"}, {"X-Bad", "1\r\nX-Evil: 1"}});
        if (what == "wrong-protocol")
            co_return accept("never-offered");
        if (what == "throws")
            throw error(errc::unauthorized, "sign in first");
        if (what == "late") {
            auto waiting = carillon::pause(std::chrono::milliseconds(20));
            co_await waiting;
        }
        if (what == "never") {
            auto waiting = carillon::pause(std::chrono::milliseconds(3000));
            co_await waiting;
        }
        accept();
        send("hello");
    }
    task<> on_receive(message received) override {
        const auto& what = received.payload;
        if (what == "unauthorized")
            throw error(errc::unauthorized, "sign in");
        if (what == "forbidden")
            throw error(errc::forbidden, "not you");
        if (what == "not_found")
            throw error(errc::not_found, "nothing");
        if (what == "unavailable")
            throw error(errc::unavailable, "later");
        if (what == "invalid" || what == "later invalid") {
            if (what != "invalid") {
                auto waiting = carillon::pause(std::chrono::milliseconds(1));
                co_await waiting;
            }
            throw error(errc::invalid, "bad value");
        }
        if (what == "exception")
            throw std::runtime_error("secret");
        if (what == "close")
            close(4000, "bye");
        send(received);
    }
    task<> on_disconnect(std::uint16_t code) override {
        heard_.add("gone " + std::to_string(code));
        return {};
    }
    told& heard_;
};

routes obedient_routes(told& heard) {
    return {websocket<obedient>("/ws/<str:what>/", std::ref(heard))};
}

} // namespace

TEST_CASE("a consumer accepts, denies, closes or forgets to decide") {
    told heard;
    test_server server(obedient_routes(heard));
    const auto port = server.port();
    ws_client accepted(port);
    auto got = accepted.open("/ws/yes/");
    CHECK(got.status == 101);
    CHECK(got.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(accepted.message() == "hello");
    accepted.close(1000);
    CHECK(accepted.close_code() == 1000);
    CHECK(accepted.closed());
    CHECK(heard.wait_for(1).at(0) == "gone 1000");
    ws_client denied(port), undecided(port), closed(port), thrown(port), late(port);
    CHECK(denied.open("/ws/deny/").status == 403);
    CHECK(undecided.open("/ws/nothing/").status == 403);
    CHECK(closed.open("/ws/close/").status == 101);
    CHECK(closed.close_code() == 4404);
    CHECK(thrown.open("/ws/throws/").status == 101);
    CHECK(thrown.close_code() == 4401);
    CHECK(late.open("/ws/late/", {}, frames::text("early")).status == 101);
    CHECK(late.message() == "hello");
    CHECK(late.message() == "early");
}

TEST_CASE("a subprotocol must be one that the client offered") {
    told heard;
    test_server server(obedient_routes(heard));
    ws_client chat(server.port()), other(server.port());
    const auto got = chat.open("/ws/protocol/", "Sec-WebSocket-Protocol: news, chat\r\n");
    CHECK(got.status == 101);
    CHECK(got.header("Sec-WebSocket-Protocol") == "chat");
    CHECK(got.header("X-Extra") == "1");
    CHECK(got.header("X-Evil").empty());
    CHECK(other.open("/ws/wrong-protocol/", "Sec-WebSocket-Protocol: news\r\n").status == 101);
    CHECK(other.close_code() == 1011);
}

TEST_CASE("handshakes of other sites, to nowhere, or malformed are refused with a status") {
    told heard;
    test_server server(obedient_routes(heard));
    client foreign(server.port()), nowhere(server.port()), old(server.port()),
        without(server.port());
    const auto replaced = [](std::string text, std::string_view from, std::string_view to) {
        return text.replace(text.find(from), from.size(), to);
    };
    const auto sound = ws_client::handshake("/ws/yes/");
    foreign.send(replaced(sound, "Origin: http://localhost", "Origin: http://evil.example"));
    CHECK(take_answer(foreign).status == 403);
    without.send(replaced(sound, "Origin: http://localhost\r\n", ""));
    CHECK(take_answer(without).status == 403);
    nowhere.send(ws_client::handshake("/nowhere/"));
    CHECK(take_answer(nowhere).status == 404);
    old.send(replaced(sound, "Version: 13", "Version: 8"));
    const auto got = take_answer(old);
    CHECK(got.status == 426);
    CHECK(got.header("Sec-WebSocket-Version") == "13");
    CHECK(old.closed());
}

TEST_CASE("text that is not UTF-8 is mended before it is sent") {
    class careless final : public consumer {
        task<> on_receive(message) override {
            send(std::string("caf\xe9"));
            return {};
        }
    };
    test_server server({websocket<careless>("/ws/")});
    ws_client one(server.port());
    REQUIRE(one.open("/ws/").status == 101);
    one.text("go");
    CHECK(one.message() == "caf\xef\xbf\xbd");
}

TEST_CASE("what a consumer throws becomes a close code of its kind") {
    told heard;
    test_server server(obedient_routes(heard));
    const std::pair<const char*, std::uint16_t> table[] = {
        {"unauthorized", 4401}, {"forbidden", 4403}, {"not_found", 4404},     {"unavailable", 1013},
        {"invalid", 1011},      {"exception", 1011}, {"later invalid", 1011}, {"close", 4000}};
    std::size_t gone = 0;
    for (const auto& row : table) {
        const auto* what = row.first;
        const auto code = row.second;
        CAPTURE(what);
        ws_client one(server.port());
        REQUIRE(one.open("/ws/yes/").status == 101);
        CHECK(one.message() == "hello");
        one.text(what);
        const auto last = one.frame();
        CHECK(last.opcode == 8);
        CHECK(last.close_code() == code);
        CHECK(last.payload.find("secret") == std::string::npos);
        one.close(code);
        CHECK(heard.wait_for(++gone).back() == "gone " + std::to_string(code));
    }
}

TEST_CASE("a consumer that does not decide in time is answered with 503") {
    told heard;
    test_setup setup;
    setup.limit.accept_timeout = std::chrono::seconds(1);
    test_server server(obedient_routes(heard), setup);
    ws_client one(server.port());
    CHECK(one.open("/ws/never/").status == 503);
    CHECK(one.closed());
    CHECK(heard.wait_for(1).size() == 1); // once its handler has ended
}

namespace {

class speaks_json final : public json_consumer {
    task<> on_json(value received) override {
        send_json(object{{"got", std::move(received)}});
        return {};
    }
};

} // namespace

TEST_CASE("what is no JSON is answered with an error, and the socket stays open") {
    test_server server({websocket<speaks_json>("/ws/")});
    ws_client one(server.port());
    CHECK(one.open("/ws/").status == 101);
    one.text("{broken");
    CHECK(one.message().find(R"({"type":"error","data":{"code":)") == 0);
    one.send(frames::binary("{}"));
    CHECK(one.message().find("bad_request") != std::string::npos);
    one.text("[1,2]");
    CHECK(one.message() == R"({"got":[1,2]})");
}

namespace {

// Says on which thread it runs, and talks from there.
class on_threads final : public blocking_consumer {
public:
    explicit on_threads(told& heard) : heard_(heard) {}
    static event_handlers events() { return {on("news.item", &on_threads::news)}; }

private:
    void connect(const scope&) override {
        foreign_ = net::shard::current() == nullptr;
        accept();
        join("news");
        send("connected");
    }
    void receive(message received) override {
        foreign_ = foreign_ && net::shard::current() == nullptr;
        if (received.payload == "throw")
            throw error(errc::forbidden, "no");
        for (int i = 0; i < 100; ++i)
            send(received.payload + std::to_string(i));
    }
    void news(const event& e) {
        foreign_ = foreign_ && net::shard::current() == nullptr;
        send(e, number_only);
    }
    void disconnect(std::uint16_t code) override {
        heard_.add(std::string(foreign_ ? "foreign " : "shard ") + std::to_string(code));
    }
    bool foreign_ = false;
    told& heard_;
};

} // namespace

TEST_CASE("a blocking consumer's handlers run on threads and send in order") {
    told heard;
    test_server server({websocket<on_threads>("/ws/", std::ref(heard))});
    ws_client one(server.port());
    CHECK(one.open("/ws/").status == 101);
    CHECK(one.message() == "connected");
    one.text("a");
    for (int i = 0; i < 100; ++i)
        CHECK(one.message() == "a" + std::to_string(i));
    CHECK(server.layer().group_send("news", event("news.item", {{"number", 7}, {"secret", 1}})));
    CHECK(one.message() == R"({"number":7})");
    one.close(1000);
    CHECK(heard.wait_for(1).at(0) == "foreign 1000");
    ws_client vanishing(server.port());
    CHECK(vanishing.open("/ws/").status == 101);
    CHECK(vanishing.message() == "connected");
    vanishing.text("b");
    vanishing.reset();
    CHECK(heard.wait_for(2).at(1) == "foreign 1006");
    ws_client thrown(server.port());
    CHECK(thrown.open("/ws/").status == 101);
    thrown.text("throw");
    CHECK(thrown.close_code() == 4403);
}

namespace {

struct stage {
    told heard;
    gate go_on;
};

// Writes down what it handles; waits for the gate where it is told to.
class diary final : public consumer {
public:
    explicit diary(stage& where) : stage_(where) {}
    static event_handlers events() {
        return {on("news", &diary::news), on("slow.news", &diary::slow_news)};
    }

private:
    task<> on_connect(const scope&) override {
        accept();
        join("news");
        stage_.heard.add(channel_name());
        return {};
    }
    task<> on_receive(message received) override {
        if (received.payload == "wait") {
            stage_.heard.add("waits");
            auto waiting = blocking([&gate = stage_.go_on] { gate.wait(); });
            co_await waiting;
        }
        stage_.heard.add(received.payload);
    }
    void news(const event& e) { stage_.heard.add("news " + std::to_string(e["number"].to_int())); }
    task<> slow_news(event e) {
        auto waiting = carillon::pause(std::chrono::milliseconds(1));
        co_await waiting;
        stage_.heard.add("slow " + std::to_string(e["number"].to_int()));
    }
    task<> on_disconnect(std::uint16_t code) override {
        stage_.heard.add("gone " + std::to_string(code));
        return {};
    }
    stage& stage_;
};

event numbered(const char* type, int number) { return event(type, {{"number", number}}); }

} // namespace

TEST_CASE("events and messages that come while a handler waits are handled afterwards, in order") {
    stage where;
    test_server server({websocket<diary>("/ws/", std::ref(where))});
    ws_client one(server.port());
    CHECK(one.open("/ws/").status == 101);
    const auto channel = where.heard.wait_for(1).at(0);
    one.text("wait");
    where.heard.wait_for(2);
    CHECK(server.layer().group_send("news", numbered("news", 1)));
    CHECK(server.layer().group_send("news", numbered("slow.news", 2)));
    CHECK(server.layer().group_send("news", numbered("news", 3)));
    CHECK(server.layer().group_send("news", numbered("no.such.handler", 4)));
    CHECK(server.layer().send(channel, numbered("news", 5)));
    CHECK_FALSE(server.layer().group_send("news", numbered("websocket.send", 6)));
    server.on_shard(0, [] {});
    one.text("after");
    while (server.metric("carillon_messages_received_total") < 2)
        server.on_shard(0, [] {});
    where.go_on.open();
    const auto all = where.heard.wait_for(8);
    CHECK(server.metric("carillon_events_unhandled_total") == 1);
    CHECK(
        std::vector(all.begin() + 1, all.end()) ==
        std::vector<std::string>{"waits", "wait", "news 1", "slow 2", "news 3", "news 5", "after"});
}

TEST_CASE("a full mailbox drops the newest events and counts them") {
    stage where;
    test_setup setup;
    setup.limit.mailbox_events_max = 3;
    test_server server({websocket<diary>("/ws/", std::ref(where))}, setup);
    ws_client one(server.port());
    CHECK(one.open("/ws/").status == 101);
    one.text("wait");
    where.heard.wait_for(2);
    for (int i = 0; i < 5; ++i)
        CHECK(server.layer().group_send("news", numbered("news", i)));
    server.on_shard(0, [] {});
    CHECK(server.metric("carillon_mailbox_dropped_total") == 2);
    where.go_on.open();
    where.heard.wait_for(6);
    one.text("end");
    CHECK(where.heard.wait_for(7).at(5) == "news 2");
    CHECK(where.heard.wait_for(7).at(6) == "end");
}

TEST_CASE(
    "a client that vanishes while a handler waits is told of once, when the handler has ended") {
    stage where;
    test_server server({websocket<diary>("/ws/", std::ref(where))});
    {
        ws_client one(server.port());
        CHECK(one.open("/ws/").status == 101);
        one.text("wait");
        where.heard.wait_for(2);
        one.reset();
    }
    CHECK(server.layer().group_send("news", numbered("news", 1)));
    where.go_on.open();
    const auto all = where.heard.wait_for(4);
    CHECK(all.at(2) == "wait");
    server.stop();
    const auto last = where.heard.wait_for(0);
    CHECK(last.back() == "gone 1006");
    CHECK(std::ranges::count(last, "gone 1006") == 1);
    CHECK(server.shards().connections() == 0);
    CHECK(server.metric("carillon_websockets_open") == 0);
}

TEST_CASE("a server that stops closes its sockets with 1012") {
    stage where;
    test_server server({websocket<diary>("/ws/", std::ref(where))});
    ws_client one(server.port());
    CHECK(one.open("/ws/").status == 101);
    where.heard.wait_for(1);
    std::thread stopping([&] { server.stop(); });
    CHECK(one.close_code() == 1012);
    one.close(1012);
    CHECK(one.closed());
    stopping.join();
    CHECK(where.heard.wait_for(2).at(1) == "gone 1012");
}

TEST_CASE("silence is answered with a ping, and further silence with a cut") {
    stage where;
    test_setup setup;
    setup.limit.ping_interval = setup.limit.ping_timeout = std::chrono::seconds(1);
    test_server server({websocket<diary>("/ws/", std::ref(where))}, setup);
    ws_client alive(server.port()), dead(server.port());
    CHECK(alive.open("/ws/").status == 101);
    CHECK(dead.open("/ws/").status == 101);
    CHECK(dead.frame().opcode == 9);
    CHECK(alive.frame().opcode == 9);
    alive.send(frames::pong({}));
    CHECK(dead.closed());
    CHECK(server.metric("carillon_ping_timeouts_total") == 1);
    alive.send(frames::pong({}));
    alive.text("still here");
    CHECK(where.heard.wait_for(4).back() == "still here");
    alive.send(frames::ping("mine"));
    for (;;)
        if (const auto got = alive.frame(); got.opcode == 10) {
            CHECK(got.payload == "mine");
            break;
        }
}

TEST_CASE("a client whose messages a slow handler keeps waiting is not taken for dead") {
    stage where;
    test_setup setup;
    setup.limit.ping_interval = setup.limit.ping_timeout = std::chrono::seconds(1);
    setup.limit.mailbox_bytes_max = 1000;
    test_server server({websocket<diary>("/ws/", std::ref(where))}, setup);
    ws_client patient(server.port()), dead(server.port());
    CHECK(patient.open("/ws/").status == 101);
    patient.text("wait");
    where.heard.wait_for(2);
    patient.text(std::string(2000, 'x')); // the mailbox is full: nothing is read any more
    CHECK(dead.open("/ws/").status == 101);
    while (
        // cut after a ping and its time, which come later than the patient one's would
        dead.fill()) {
    }
    where.go_on.open();
    patient.text("after");
    for (std::size_t lines = 4;; ++lines)
        if (const auto all = where.heard.wait_for(lines);
            all.back() == "after" || all.size() < lines) {
            CHECK(all.back() == "after");
            break;
        }
}

namespace {

class forwards final : public consumer {
public:
    static event_handlers events() { return {on("news", &forwards::news)}; }

private:
    task<> on_connect(const scope&) override {
        join("news");
        accept();
        send("ready");
        return {};
    }
    void news(const event& e) { send(e); }
};

} // namespace

TEST_CASE("compression is agreed on, used for large messages only, and gives the same text") {
    test_server server({websocket<forwards>("/ws/")});
    ws_client packed(server.port()), plain(server.port());
    CHECK(packed.open("/ws/", "Sec-WebSocket-Extensions: permessage-deflate\r\n")
              .header("Sec-WebSocket-Extensions") != "");
    CHECK(plain.open("/ws/").header("Sec-WebSocket-Extensions").empty());
    CHECK(packed.message() == "ready");
    CHECK(plain.message() == "ready");
    const event large("news", {{"text", std::string(5000, 'a')}});
    CHECK(server.layer().group_send("news", large));
    const auto frame = packed.frame();
    CHECK(frame.compressed);
    CHECK(frame.payload.size() < 200);
    CHECK(plain.message() == large.text());
    CHECK(server.layer().group_send("news", large));
    CHECK(packed.message() == large.text());
    CHECK(plain.message() == large.text());
    CHECK(server.layer().group_send("news", numbered("news", 1)));
    CHECK_FALSE(packed.frame().compressed);
}

TEST_CASE("a thousand consumers on two shards get every event in order") {
    constexpr int clients = 1000, events = 20;
    test_setup setup;
    setup.shards = 2;
    test_server server({websocket<forwards>("/ws/")}, setup);
    std::vector<std::unique_ptr<ws_client>> all;
    for (int i = 0; i < clients; ++i) {
        all.push_back(std::make_unique<ws_client>(server.port()));
        REQUIRE(all.back()->open("/ws/").status == 101);
        REQUIRE(all.back()->message() == "ready");
    }
    CHECK(server.shards().at(0).connections() > 100);
    CHECK(server.shards().at(1).connections() > 100);
    for (int i = 0; i < events; ++i)
        CHECK(server.layer().group_send("news", numbered("news", i)));
    for (auto& one : all)
        for (int i = 0; i < events; ++i)
            REQUIRE(one->message() == numbered("news", i).text());
    CHECK(server.metric("carillon_events_delivered_total") == clients * events);
}

namespace {

// Tells the others when it goes.
class says_goodbye final : public consumer {
public:
    static event_handlers events() { return {on("news", &says_goodbye::news)}; }

private:
    task<> on_connect(const scope&) override {
        join("room");
        accept();
        send("ready");
        return {};
    }
    task<> on_receive(message received) override {
        static_cast<void>(layer().group_send("room", event("news", {{"text", received.payload}})));
        return {};
    }
    task<> on_disconnect(std::uint16_t) override {
        static_cast<void>(layer().group_send("room", event("news", {{"text", "goodbye"}})));
        return {};
    }
    void news(const event& e) { send(e["text"].to_text()); }
};

} // namespace

TEST_CASE("what a consumer publishes when it goes reaches the other shard at once") {
    test_setup setup;
    setup.shards = 2;
    test_server server({websocket<says_goodbye>("/ws/")}, setup);
    std::vector<std::unique_ptr<ws_client>> all;
    for (int i = 0; i < 60; ++i) {
        all.push_back(std::make_unique<ws_client>(server.port()));
        REQUIRE(all.back()->open("/ws/").status == 101);
        REQUIRE(all.back()->message() == "ready");
    }
    REQUIRE(server.shards().at(0).connections() > 0);
    REQUIRE(server.shards().at(1).connections() > 0);
    all.back()->close(1000);
    all.pop_back();
    for (auto& one : all)
        CHECK(one->message() == "goodbye");
}
