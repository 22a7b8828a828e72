// What clients do that nobody asked them to, and what must not happen then.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "web/test_server.hpp"
#include <carillon/net/waits.hpp>

using namespace carillon;
using namespace carillon::web::test;
namespace frames = carillon::wire::ws::test;

namespace {

class echo final : public consumer {
    task<> on_receive(message received) override {
        send(received);
        return {};
    }
};

class throws_when_made final : public consumer {
public:
    throws_when_made() { throw std::runtime_error("no"); }
};

// Answers each message with as many frames as it says, of 1000 bytes each.
class talkative final : public consumer {
    task<> on_receive(message received) override {
        for (int i = 0; i < std::stoi(received.payload); ++i)
            send(std::string(1000, 'x'));
        return {};
    }
};

routes echo_routes() { return {websocket<echo>("/ws/")}; }

} // namespace

TEST_CASE("the first connection after a silence of the whole server is served") {
    test_setup setup;
    setup.limit.handshake_timeout = std::chrono::seconds(1);
    setup.limit.keep_alive_timeout = std::chrono::seconds(1);
    test_server server({get("/", [](request&) { return text_response("here"); })}, setup);
    {
        client first(server.port());
        CHECK(ask(first, "GET", "/").status == 200);
        CHECK(first.closed()); // by keep_alive_timeout: from now on the shard has no connection
    }
    // Without a connection the shard's clock stands; a timer of its loop still tells when the silence was long enough.
    told over;
    auto& events = server.shards().at(0).events();
    events.post([&] { events.at(now() + std::chrono::seconds(3), [&] { over.add("over"); }); });
    CHECK(over.wait_for(1).size() == 1);
    client second(server.port());
    CHECK(ask(second, "GET", "/").status == 200);
}

TEST_CASE("frames that come together with the handshake are handled") {
    test_server server(echo_routes());
    ws_client early(server.port());
    CHECK(early.open("/ws/", {}, frames::text("one") + frames::text("two")).status == 101);
    CHECK(early.message() == "one");
    CHECK(early.message() == "two");
    early.text("three");
    CHECK(early.message() == "three");
}

TEST_CASE("a client that goes on sending after a protocol error or a close frame harms nobody") {
    test_setup setup;
    setup.limit.outbox_bytes_soft = setup.limit.outbox_bytes_max =
        64u << 20; // so that it is read although it does not read
    test_server server({websocket<echo>("/ws/"), websocket<talkative>("/much/")}, setup);
    for (const auto& last_word : {std::string("\xff\xff\xff"), frames::close(1000)}) {
        ws_client rude(server.port(), 4096);
        CHECK(rude.open("/much/").status == 101);
        // Nothing is read back: more waits than sockets hold, and the server's close frame behind it.
        rude.text("20000");
        client other(server.port());
        for (const auto& rudeness : {last_word, frames::text("1"), frames::text("1")}) {
            CHECK(rude.send_some(rudeness));
            for (int i = 0; i < 3;
                 ++i) // answered by the shard that has to read the rudeness first, or next
                CHECK(ask(other, "GET", "/nowhere").status == 404);
        }
    }
    // The same without a full socket: what follows comes in its own segment while the close frame is under way.
    for (int i = 0; i < 50; ++i) {
        ws_client rude(server.port());
        CHECK(rude.open("/ws/").status == 101);
        rude.send("\xff\xff\xff");
        for (int k = 0; k < 5; ++k)
            rude.send_some(frames::text("more"));
        CHECK(rude.close_code() == 1002);
    }
    ws_client polite(server.port());
    CHECK(polite.open("/ws/").status == 101);
    polite.text("alive");
    CHECK(polite.message() == "alive");
}

TEST_CASE("a client is heard again after a burst that the socket took at once") {
    test_setup setup;
    setup.limit.outbox_bytes_soft = 2000;
    test_server server({websocket<talkative>("/ws/")}, setup);
    ws_client listener(server.port());
    CHECK(listener.open("/ws/").status == 101);
    for (int round = 0; round < 3; ++round) {
        listener.text("10");
        for (int i = 0; i < 10; ++i)
            CHECK(listener.message().size() == 1000);
    }
}

TEST_CASE("a large file arrives whole") {
    const auto folder =
        std::filesystem::temp_directory_path() / ("carillon_large_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::string content;
    while (content.size() < 3'000'000)
        content += std::to_string(content.size()) + "\n";
    std::ofstream(folder / "large.txt", std::ios::binary) << content;
    test_server server({files("/f/", folder.string())});
    client reader(server.port());
    const auto whole = ask(reader, "GET", "/f/large.txt");
    CHECK(whole.status == 200);
    CHECK(whole.body == content);
    CHECK(ask(reader, "GET", "/f/large.txt", "Range: bytes=0-9\r\n").body == content.substr(0, 10));
    std::filesystem::remove_all(folder);
}

TEST_CASE("a client that asks on and on without reading the answers is not read any more") {
    test_setup setup;
    setup.limit.outbox_bytes_soft = 100'000;
    test_server server({get("/", [](request&) { return text_response(std::string(50'000, 'y')); })},
                       setup);
    client greedy(server.port(), 4096);
    std::string many;
    for (int i = 0; i < 500; ++i)
        many += request_text("GET", "/");
    greedy.send(many);
    client other(server.port());
    CHECK(ask(other, "GET", "/").status == 200); // the shard has had its turn with the greedy one
    CHECK(server.metric("carillon_http_requests_total") <
          200); // some megabytes fit into the sockets, not 25
    for (int i = 0; i < 500; ++i)
        CHECK(take_answer(greedy).body.size() == 50'000);
}

TEST_CASE("a consumer that cannot be made is an error of one handshake") {
    test_server server({websocket<throws_when_made>("/bad/"), websocket<echo>("/ws/")});
    ws_client unlucky(server.port());
    CHECK(unlucky.open("/bad/").status == 500);
    ws_client other(server.port());
    CHECK(other.open("/ws/").status == 101);
}

namespace {

struct slow_parts {
    told& heard;
    gate& go_on;
};

// Waits in its first message until the test lets it go on.
class slow final : public consumer {
public:
    explicit slow(slow_parts parts) : parts_(parts) {}

private:
    task<> on_connect(const scope&) override {
        accept();
        parts_.heard.add(channel_name());
        return {};
    }
    task<> on_receive(message received) override {
        parts_.heard.add(received.payload.substr(0, 20));
        if (received.payload == "wait") {
            auto waiting = blocking([&gate = parts_.go_on] { gate.wait(); });
            co_await waiting;
            parts_.heard.add("waited");
        }
    }
    task<> on_disconnect(std::uint16_t code) override {
        parts_.heard.add("gone " + std::to_string(code));
        return {};
    }
    slow_parts parts_;
};

} // namespace

TEST_CASE("who has gone while its handler waits joins no group any more") {
    told heard;
    gate go_on;
    test_server server({websocket<slow>("/ws/", slow_parts{heard, go_on})});
    std::string channel;
    {
        ws_client vanishing(server.port());
        CHECK(vanishing.open("/ws/").status == 101);
        channel = heard.wait_for(1).at(0);
        vanishing.text("wait");
        heard.wait_for(2);
        vanishing.reset();
    }
    server.on_shard(0, [] {}); // the reset has been seen at the latest a turn later
    server.on_shard(0, [] {});
    CHECK(server.layer().group_add("room", channel));
    server.on_shard(0, [] {});
    go_on.open();
    CHECK(heard.wait_for(4).at(3) == "gone 1006");
    client next(server.port()); // a turn later the husk is buried
    CHECK(ask(next, "GET", "/nowhere").status == 404);
    CHECK(server.layer().group_send("room", event("news", {})));
    server.on_shard(0, [] {});
    CHECK(server.metric("carillon_events_delivered_total") == 0);
}

TEST_CASE(
    "messages that came before the client's close frame are handled, and then the disconnect") {
    told heard;
    gate go_on;
    test_server server({websocket<slow>("/ws/", slow_parts{heard, go_on})});
    ws_client hasty(server.port());
    CHECK(hasty.open("/ws/").status == 101);
    hasty.send(frames::text("wait") + frames::text("two") + frames::text("three") +
               frames::close(1001));
    heard.wait_for(2);
    CHECK(hasty.close_code() == 1001);
    go_on.open();
    const auto all = heard.wait_for(6);
    CHECK(std::vector(all.begin() + 1, all.end()) ==
          std::vector<std::string>{"wait", "waited", "two", "three", "gone 1001"});
}

TEST_CASE("a full mailbox is read to its end although the client has finished sending") {
    told heard;
    gate go_on;
    test_setup setup;
    setup.limit.mailbox_bytes_max = 10'000;
    test_server server({websocket<slow>("/ws/", slow_parts{heard, go_on})}, setup);
    ws_client hasty(server.port());
    CHECK(hasty.open("/ws/").status == 101);
    hasty.text("wait");
    heard.wait_for(2);
    hasty.text(std::string(10'000, 'a')); // fills it
    while (server.metric("carillon_messages_received_total") < 2)
        server.on_shard(0, [] {});
    for (int i = 0; i < 4; ++i)
        hasty.text(std::string(10'000, 'b'));
    hasty.close(1000);
    hasty.finish_sending();
    for (int turns = 0; turns < 20; ++turns)
        server.on_shard(0, [] {});
    go_on.open();
    const auto all = heard.wait_for(2 + 1 + 5 + 1);
    CHECK(all.size() == 9);
    CHECK(all.back() == "gone 1000");
}

TEST_CASE("empty messages to a busy consumer do not pile up without end") {
    told heard;
    gate go_on;
    test_setup setup;
    setup.limit.mailbox_bytes_max = 10'000;
    test_server server({websocket<slow>("/ws/", slow_parts{heard, go_on})}, setup);
    ws_client flood(server.port());
    CHECK(flood.open("/ws/").status == 101);
    flood.text("wait");
    heard.wait_for(2);
    std::string many;
    for (int i = 0; i < 100'000; ++i)
        many += frames::text({});
    std::size_t sent = 0;
    while (sent < 64u << 20 && flood.send_some(many))
        sent += many.size();
    client other(server.port());
    CHECK(ask(other, "GET", "/nowhere").status == 404);
    CHECK(server.metric("carillon_messages_received_total") < 60'000);
    flood.reset();
    go_on.open();
}
