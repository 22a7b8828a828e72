// Joins that a layer's server has to confirm: what the client is told meanwhile, and what happens when it leaves.

#include <doctest/doctest.h>

#include <deque>

#include "web/test_server.hpp"

using namespace carillon;
using namespace carillon::web::test;

namespace {

// Confirms memberships when the test says so.
class slow_layer final : public channel_layer {
public:
    result<void> group_send(std::string_view, event) override { return {}; }
    result<void> send(std::string_view, event) override { return {}; }
    result<void> group_add(std::string_view, std::string_view) override { return {}; }
    result<void> group_discard(std::string_view, std::string_view) override { return {}; }
    bool reaches_members(std::string_view group, std::function<void()> ready) override {
        if (group == "known")
            return true;
        std::lock_guard lock(guard_);
        waiting_.push_back(std::move(ready));
        asked.add(std::string(group));
        return false;
    }
    // On a thread that is no shard's, as a layer's own.
    void confirm() {
        std::function<void()> ready;
        {
            std::lock_guard lock(guard_);
            ready = std::move(waiting_.front());
            waiting_.pop_front();
        }
        ready();
    }
    told asked;

private:
    std::mutex guard_;
    std::deque<std::function<void()>> waiting_;
};

class joining final : public consumer {
public:
    explicit joining(told& heard) : heard_(heard) {}
    static event_handlers events() { return {on(gap_event_type, &joining::gap)}; }

private:
    task<> on_connect(const scope& asked) override {
        group_ = asked.kwarg("group");
        awaits_ = asked.query("await").has_value();
        if (awaits_) {
            co_await join(group_);
            heard_.add("joined");
        } else {
            join(group_);
        }
        accept();
        send("welcome");
    }
    task<> on_receive(message received) override {
        join(received.payload);
        send("joined " + received.payload);
        return {};
    }
    task<> on_disconnect(std::uint16_t) override {
        heard_.add("gone");
        return {};
    }
    void gap(const event&) { send("gap"); }

    told& heard_;
    std::string group_;
    bool awaits_ = false;
};

struct joining_site {
    slow_layer layer;
    told heard;
    test_server server{{websocket<joining>("/<slug:group>/", std::ref(heard))}, setup()};

    test_setup setup() {
        test_setup made;
        made.layer = &layer;
        return made;
    }
};

} // namespace

TEST_CASE("a client is answered only when its membership holds everywhere") {
    joining_site site;
    ws_client client(site.server.port());
    client.send(ws_client::handshake("/room/"));
    REQUIRE(site.layer.asked.wait_for(1).size() == 1);
    site.server.on_shard(0, [] {}); // the consumer's handler has ended by now
    CHECK(client.nothing_waits());
    site.layer.confirm();
    CHECK(take_answer(client).status == 101);
    CHECK(client.message() == "welcome");

    client.text("hall");
    REQUIRE(site.layer.asked.wait_for(2).size() == 2);
    site.server.on_shard(0, [] {});
    CHECK(client.nothing_waits());
    site.layer.confirm();
    CHECK(client.message() == "joined hall");
}

TEST_CASE("a handler that awaits its join goes on when it holds, and at once when it did") {
    joining_site site;
    ws_client client(site.server.port());
    client.send(ws_client::handshake("/room/?await=1"));
    REQUIRE(site.layer.asked.wait_for(1).size() == 1);
    site.server.on_shard(0, [] {});
    CHECK(site.heard.wait_for(0).empty());
    site.layer.confirm();
    CHECK(take_answer(client).status == 101);
    CHECK(site.heard.wait_for(1).front() == "joined");

    ws_client second(site.server.port());
    CHECK(second.open("/known/?await=1").status == 101);
}

TEST_CASE("a client that leaves while its join is under way does no harm") {
    joining_site site;
    {
        ws_client client(site.server.port());
        client.send(ws_client::handshake("/room/"));
        REQUIRE(site.layer.asked.wait_for(1).size() == 1);
    }
    CHECK(site.heard.wait_for(1).front() == "gone");
    site.layer.confirm();
    site.server.on_shard(0, [] {});
    {
        ws_client client(site.server.port());
        client.send(ws_client::handshake("/room/?await=1"));
        REQUIRE(site.layer.asked.wait_for(2).size() == 2);
    }
    site.layer.confirm();
    CHECK(site.heard.wait_for(3).size() == 3);
}

TEST_CASE("everybody in a group hears of a gap, and who does not handle it stays") {
    joining_site site;
    ws_client client(site.server.port());
    CHECK(client.open("/known/").status == 101);
    CHECK(client.message() == "welcome");
    site.server.members().tell_everybody(event(std::string(gap_event_type), {}));
    CHECK(client.message() == "gap");
}
