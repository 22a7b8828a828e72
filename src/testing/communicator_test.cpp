#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <carillon/base/error.hpp>
#include <carillon/net/waits.hpp>
#include <carillon/testing/communicator.hpp>
#include <carillon/web/routes.hpp>

using namespace carillon;
using namespace carillon::testing;

namespace {

constexpr std::chrono::seconds patience{20};

// What on_disconnect and others leave behind.
class journal {
public:
    void add(std::string line) {
        std::lock_guard lock(guard_);
        lines_.push_back(std::move(line));
    }
    std::vector<std::string> all() const {
        std::lock_guard lock(guard_);
        return lines_;
    }

private:
    mutable std::mutex guard_;
    std::vector<std::string> lines_;
};
using lines = std::vector<std::string>;

// Decides as its path says, echoes, and remembers how it ended.
class obedient final : public consumer {
public:
    explicit obedient(journal& heard) : heard_(heard) {}
    static event_handlers events() { return {on("order.paid", &obedient::paid)}; }

private:
    task<> on_connect(const scope& asked) override {
        const auto& what = asked.kwarg("what");
        if (what == "deny")
            return deny(), task<>();
        if (what == "busy")
            return deny(503), task<>();
        if (what == "close")
            return close(close_code::not_signed_in, "sign in"), task<>();
        if (what == "greet-and-close") {
            accept();
            send("hello");
            return close(close_code::no_such_object, "no such order"), task<>();
        }
        if (what == "chat")
            return accept("chat", {{"X-Room", "7"}}), task<>();
        if (what == "throw")
            throw std::runtime_error("broken");
        join("order_" + what);
        accept();
        return {};
    }
    task<> on_receive(message received) override {
        if (received.payload == "throw")
            throw std::runtime_error("broken");
        if (received.payload == "close")
            close(4400, "as you wish");
        else
            send(received);
        return {};
    }
    task<> on_disconnect(std::uint16_t code) override {
        auto waiting = carillon::pause(std::chrono::milliseconds(20));
        co_await waiting;
        heard_.add("gone " + std::to_string(code));
    }
    void paid(const event& e) { send(e); }
    journal& heard_;
};

class parrot final : public json_consumer {
    task<> on_json(value said) override {
        send_json(object{{"you said", said}});
        return {};
    }
};

// Does its work on a thread of the pool.
class clerk final : public blocking_consumer {
public:
    explicit clerk(journal& heard) : heard_(heard) {}
    static event_handlers events() { return {on("order.paid", &clerk::paid)}; }

private:
    void connect(const scope& asked) override {
        if (asked.query("close"))
            return close(4403, "not you");
        join("orders");
        accept();
    }
    void receive(message received) override { send("done: " + received.payload); }
    void disconnect(std::uint16_t code) override { heard_.add("clerk " + std::to_string(code)); }
    void paid(const event& e) { send(e); }
    journal& heard_;
};

response sum(request& asked) {
    const auto numbers = asked.json();
    return json_response(object{{"sum", numbers["a"].to_int() + numbers["b"].to_int()}}, 201)
        .with("X-From", asked.client_address);
}

routes urls(journal& heard) {
    return {
        websocket<obedient>("/ws/orders/<str:what>/", std::ref(heard)),
        websocket<parrot>("/ws/json/"),
        websocket<clerk>("/ws/clerk/", std::ref(heard)),
        post("/sum/", sum).max_body(1000),
        get("/big/", [](request&) { return text_response(std::string(300'000, 'b')); }),
        get("/forbidden/",
            [](request&) -> response { throw error(errc::forbidden, "not for you"); }),
    };
}

template <class F>
errc code_of(F call) {
    try {
        call();
    } catch (const error& thrown) {
        return thrown.code();
    }
    return errc::internal;
}

} // namespace

TEST_CASE("the example of the header") {
    journal shop;
    test_site site(urls(shop));
    websocket_communicator client(site, "/ws/orders/7/");
    const auto opened = client.connect();
    REQUIRE(opened.accepted);
    site.layer().group_send("order_7", event("order.paid", {{"total", 12}})).value();
    CHECK(client.receive_json()["total"].to_int() == 12);
}

TEST_CASE("a consumer accepts, and hears how its client went") {
    journal heard;
    test_site site(urls(heard));
    const std::array<std::uint16_t, 5> codes = {1000, 1001, 4999, 1005, 1006};
    for (const std::uint16_t code : codes) {
        websocket_communicator client(site, "/ws/orders/1/");
        const auto opened = client.connect();
        CHECK(opened.accepted);
        CHECK(opened.status == 101);
        CHECK(opened.subprotocol.empty());
        CHECK(opened.close_code == 0);
        client.disconnect(code);
        CHECK(heard.all().back() == "gone " + std::to_string(code)); // no waiting
        CHECK(code_of([&] { client.receive_text(); }) == errc::closed);
        CHECK(code_of([&] { client.send_text("late"); }) == errc::closed);
    }
    {
        websocket_communicator left(site, "/ws/orders/1/");
        left.connect();
    } // closes with 1001
    websocket_communicator after(site, "/ws/orders/1/");
    after.connect();
    after.disconnect();
    auto said = heard.all();
    std::sort(said.begin() + 5, said.end());
    CHECK(said == lines{"gone 1000", "gone 1001", "gone 4999", "gone 1005", "gone 1006",
                        "gone 1000", "gone 1001"});
}

TEST_CASE("a consumer denies with a status, and is told of its end too") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator denied(site, "/ws/orders/deny/"), busy(site, "/ws/orders/busy/");
    websocket_communicator nowhere(site, "/ws/nowhere/");
    const auto refused = denied.connect();
    CHECK_FALSE(refused.accepted);
    CHECK(refused.status == 403);
    CHECK_FALSE(refused.headers.empty());
    CHECK(busy.connect().status == 503);
    CHECK(nowhere.connect().status == 404);
    CHECK(denied.receive_nothing());
    CHECK(code_of([&] { denied.receive_text(); }) == errc::closed);
    denied.disconnect();
    busy.disconnect();
    CHECK(heard.all().size() == 2);
}

TEST_CASE("a close instead of the acceptance is seen by connect, whatever was said before it") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator closed(site, "/ws/orders/close/");
    const auto first = closed.connect();
    CHECK(first.accepted);
    CHECK(first.close_code == 4401);
    CHECK(closed.receive_nothing());
    CHECK(closed.receive_close() == 4401);
    CHECK(closed.receive_close() == 4401);
    closed.disconnect();
    CHECK(heard.all() == lines{"gone 4401"});
    websocket_communicator greeted(site, "/ws/orders/greet-and-close/");
    CHECK(greeted.connect().close_code == 4404);
    CHECK(greeted.receive_text() == "hello");
    CHECK(code_of([&] { greeted.receive_text(); }) == errc::closed);
    websocket_communicator broken(site, "/ws/orders/throw/");
    CHECK(broken.connect().close_code == 1011);
}

TEST_CASE("the server's close is awaited, with what came before it discarded") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator client(site, "/ws/orders/1/");
    client.connect();
    client.send_text("one");
    client.send_text("close");
    CHECK(client.receive_close() == 4400);
    CHECK(client.receive_nothing());
    client.disconnect();
    CHECK(heard.all() == lines{"gone 4400"});
}

TEST_CASE("a consumer that throws closes with 1011") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator client(site, "/ws/orders/1/");
    client.connect();
    client.send_text("throw");
    CHECK_FALSE(client.receive_nothing(patience)); // the close counts
    CHECK(client.receive_close() == 1011);
}

TEST_CASE("subprotocols are offered, and the acceptance's headers are seen") {
    journal heard;
    test_site site(urls(heard));
    ws_options offering;
    offering.subprotocols = {"news", "chat"};
    websocket_communicator client(site, "/ws/orders/chat/", offering);
    const auto opened = client.connect();
    CHECK(opened.subprotocol == "chat");
    bool seen = false;
    for (const auto& [name, content] : opened.headers)
        seen = seen || (name == "X-Room" && content == "7");
    CHECK(seen);
}

TEST_CASE("text, bytes and JSON travel both ways, large ones compressed") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator client(site, "/ws/orders/1/");
    client.connect();
    std::string long_text;
    for (int i = 0; i < 20'000; ++i)
        long_text += std::to_string(i) + " ";
    const bytes data{std::byte{0}, std::byte{255}};
    client.send_text("gr\xc3\xbc\xc3\x9f");
    client.send_text(long_text);
    client.send_bytes(data);
    client.send_json(array{1, "two"});
    CHECK(client.receive_text() == "gr\xc3\xbc\xc3\x9f");
    CHECK(client.receive_text() == long_text);
    CHECK(client.receive_bytes() == data);
    CHECK(client.receive_json() == value(array{1, "two"}));
    client.send_text("text");
    CHECK(code_of([&] { client.receive_bytes(); }) == errc::invalid);
    client.send_bytes(data);
    CHECK(code_of([&] { client.receive_text(); }) == errc::invalid);
    client.send_text("no JSON");
    CHECK(code_of([&] { client.receive_json(); }) == errc::invalid);
    CHECK(code_of([&] { client.send_text(""); }) == errc::invalid);
    CHECK(code_of([&] { client.send_bytes({}); }) == errc::invalid);
    websocket_communicator json(site, "/ws/json/");
    json.connect();
    json.send_json(object{{"a", 1}});
    CHECK(json.receive_json()["you said"]["a"].to_int() == 1);
    json.send_text("{");
    CHECK(json.receive_json()["type"].to_text() == "error");
}

TEST_CASE("more is sent than fits between the two, while the answers wait") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator client(site, "/ws/orders/1/");
    client.connect();
    const bytes piece(500'000, std::byte{7});
    for (int i = 0; i < 12; ++i)
        client.send_bytes(piece);
    for (int i = 0; i < 12; ++i)
        CHECK(client.receive_bytes(patience) == piece);
}

TEST_CASE("silence is heard, and a message ends it and stays") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator client(site, "/ws/orders/1/");
    client.connect();
    CHECK(client.receive_nothing());
    client.send_text("something");
    CHECK_FALSE(client.receive_nothing(patience));
    CHECK(client.receive_text() == "something");
    CHECK(code_of([&] { client.receive_text(std::chrono::milliseconds(10)); }) == errc::timed_out);
    CHECK(code_of([&] { client.receive_close(std::chrono::milliseconds(10)); }) == errc::timed_out);
}

TEST_CASE("a blocking consumer is driven like any other") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator client(site, "/ws/clerk/"), refused(site, "/ws/clerk/?close=1");
    CHECK(client.connect().accepted);
    client.send_text("stamp");
    CHECK(client.receive_text() == "done: stamp");
    CHECK(site.layer().group_send("orders", event("order.paid", {{"total", 5}})));
    CHECK(client.receive_json()["total"].to_int() == 5);
    client.disconnect();
    CHECK(heard.all() == lines{"clerk 1000"});
    CHECK(refused.connect().accepted);
    CHECK(refused.receive_close() == 4403);
}

TEST_CASE("two sites do not hear each other, and share nothing") {
    journal here, there;
    test_site_options two_shards;
    two_shards.threads = 2;
    test_site first(urls(here), two_shards), second(urls(there));
    std::array<std::optional<websocket_communicator>, 4> clients;
    for (auto& one : clients)
        one.emplace(first, "/ws/orders/7/");
    websocket_communicator other(second, "/ws/orders/7/");
    for (auto& one : clients)
        one->connect();
    other.connect();
    CHECK(first.layer().group_send("order_7", event("order.paid", {{"total", 1}})));
    CHECK(second.layer().group_send("order_7", event("order.paid", {{"total", 2}})));
    for (auto& one : clients)
        CHECK(one->receive_json()["total"].to_int() == 1);
    CHECK(other.receive_json()["total"].to_int() == 2);
    CHECK(other.receive_nothing());
    other.disconnect();
    CHECK(here.all().empty());
    CHECK(there.all().size() == 1);
}

TEST_CASE("routes that publish are made with the site's layer") {
    test_site site([](channel_layer& layer) {
        return routes{post("/pay/", [&layer](request&) {
            layer.group_send("till", event("paid", {})).value();
            return text_response("thanks");
        })};
    });
    CHECK(site.layer().group_add("till", "receipts"));
    CHECK(request_once(site, "POST", "/pay/").body == "thanks");
    auto receipts = site.layer().receive_from("receipts").value();
    CHECK(receipts->receive(now() + patience)->type() == "paid");
}

TEST_CASE("requests carry bodies, and answers are read whole, with their errors") {
    journal heard;
    test_site site(urls(heard));
    const name_value_list json{{"Content-Type", "application/json"}};
    const auto added = request_once(site, "POST", "/sum/", R"({"a": 2, "b": 3})", json);
    CHECK(added.status == 201);
    CHECK(added.json()["sum"].to_int() == 5);
    CHECK(added.header("x-from") == "127.0.0.1");
    const auto malformed = request_once(site, "POST", "/sum/", "{", json);
    CHECK(malformed.status == 400);
    CHECK(malformed.json()["error"]["code"].to_text() == "bad_request");
    const auto huge = request_once(site, "POST", "/sum/", std::string(900'000, 'x'), json);
    CHECK(huge.status == 413);
    CHECK(huge.json()["error"]["code"].to_text() == "too_large");
    CHECK(request_once(site, "GET", "/forbidden/").json()["error"]["code"].to_text() ==
          "forbidden");
    CHECK(request_once(site, "GET", "/sum/").status == 405);
    CHECK(request_once(site, "GET", "/big/").body.size() == 300'000);
    const auto head = request_once(site, "HEAD", "/big/");
    CHECK(head.header("Content-Length") == "300000");
    CHECK(head.body.empty());
    CHECK(request_once(site, "GET", "/big/", {}, {{"Connection", "keep-alive"}}).body.size() ==
          300'000);
    const auto waited =
        request_once(site, "POST", "/sum/", R"({"a": 1})",
                     {{"Content-Type", "application/json"}, {"Expect", "100-continue"}});
    CHECK(waited.status == 201);
    CHECK(code_of([&] { request_once(site, "GET", "/big/").json(); }) == errc::invalid);
    CHECK(code_of([&] { request_once(site, "GET", "big"); }) == errc::invalid);
    CHECK(code_of([&] { request_once(site, "GET", "/a b"); }) == errc::invalid);
    CHECK(code_of([&] {
              request_once(site, "GET", "/", {}, {{"X", "a\r\nY: b"}});
          }) == errc::invalid);
}

TEST_CASE("requests name the first allowed host, and the origin of a WebSocket is the site") {
    journal heard;
    test_site_options options;
    options.allowed_hosts = {".example.org", "localhost"};
    test_site site(urls(heard), options);
    websocket_communicator own(site, "/ws/orders/1/");
    CHECK(own.connect().accepted);
    ws_options foreign, none;
    foreign.headers = {{"Origin", "http://evil.example"}};
    websocket_communicator stranger(site, "/ws/orders/1/", foreign);
    CHECK(stranger.connect().status == 403);
    ws_options local;
    local.headers = {{"Host", "localhost"}, {"Origin", "http://localhost"}};
    websocket_communicator neighbour(site, "/ws/orders/1/", local);
    CHECK(neighbour.connect().accepted);
    CHECK(request_once(site, "GET", "/big/", {}, {{"Host", "elsewhere"}}).status == 400);
    test_site_options any;
    any.allowed_hosts = {"*"};
    test_site open(urls(heard), any);
    CHECK(request_once(open, "GET", "/forbidden/").status == 403);
}

TEST_CASE("a communicator connects once, and before all else") {
    journal heard;
    test_site site(urls(heard));
    websocket_communicator client(site, "/ws/orders/1/"), unused(site, "/ws/orders/1/");
    CHECK(code_of([&] { client.send_text("early"); }) == errc::invalid);
    CHECK(code_of([&] { client.receive_text(); }) == errc::invalid);
    CHECK(code_of([&] { client.disconnect(); }) == errc::invalid);
    client.connect();
    CHECK(code_of([&] { client.connect(); }) == errc::invalid);
    CHECK(code_of([&] { client.disconnect(1015); }) == errc::invalid);
    websocket_communicator broken(site, "no path");
    CHECK(code_of([&] { broken.connect(); }) == errc::invalid);
}

namespace {

// Neither accepts nor ends before the test says so.
class stubborn final : public blocking_consumer {
public:
    struct door {
        std::mutex guard;
        std::condition_variable opened;
        bool is_open = false;
        void open() {
            std::lock_guard lock(guard);
            is_open = true;
            opened.notify_all();
        }
        void pass() {
            std::unique_lock lock(guard);
            opened.wait_for(lock, patience, [this] { return is_open; });
        }
    };
    stubborn(door& in, door& out) : in_(in), out_(out) {}

private:
    void connect(const scope&) override {
        in_.pass();
        accept();
    }
    void disconnect(std::uint16_t) override { out_.pass(); }
    door& in_;
    door& out_;
};

} // namespace

TEST_CASE("what does not happen in time is an error") {
    stubborn::door in, out;
    test_site site(routes{websocket<stubborn>("/ws/", std::ref(in), std::ref(out))});
    const std::chrono::milliseconds soon{10};
    websocket_communicator waiting(site, "/ws/"), client(site, "/ws/");
    CHECK(code_of([&] { waiting.connect(soon); }) == errc::timed_out);
    in.open();
    client.connect(patience);
    CHECK(code_of([&] { client.disconnect(1000, soon); }) == errc::timed_out);
    out.open();
    client.disconnect(1000, patience); // asked again, it waits again
}

TEST_CASE("a site with all the connections it may have refuses one more") {
    journal heard;
    test_site_options options;
    options.limit.connections_max = 1;
    test_site site(urls(heard), options);
    websocket_communicator first(site, "/ws/orders/1/"), second(site, "/ws/orders/1/");
    first.connect();
    CHECK(code_of([&] { second.connect(); }) == errc::unavailable);
    first.disconnect();
    websocket_communicator third(site, "/ws/orders/1/");
    CHECK(third.connect().accepted);
}
