#include <algorithm>

#include <doctest/doctest.h>

#include "base/test_polling.hpp"
#include "jobs/broker/test_redis_broker.hpp"
#include "wire/celery/envelope.hpp"

namespace carillon::jobs::test {

namespace {

const std::string sep = "\x06\x16";

std::vector<std::string> ids_of(const receiver::seen& s) {
    std::vector<std::string> out;
    for (const auto& one : s.deliveries)
        out.push_back(id_of(one.parts));
    return out;
}

} // namespace

TEST_CASE(
    "a message that is published is delivered, and nothing is left after its acknowledgement") {
    if (no_redis())
        return;
    server redis;
    receiver at(options_for(redis.url()));
    at.start();
    at->consume({"celery"}, 10);
    REQUIRE(at.wait_up());
    REQUIRE(at.publish("celery", parts_of("proj.add", {2, 3}, 0, "the-id")));
    REQUIRE(at.wait_count(1));
    const auto one = at.now_seen().deliveries.front();
    CHECK(id_of(one.parts) == "the-id");
    CHECK(one.queue == "celery");
    CHECK(one.exchange == "");
    CHECK(one.routing_key == "celery");
    CHECK_FALSE(one.redelivered);
    CHECK(one.parts.body.starts_with("[[2,3],{},"));
    CHECK(becomes(redis.url(), {"HLEN", "unacked"}, 0));
    CHECK(becomes(redis.url(), {"ZCARD", "unacked_index"}, 0));
    CHECK(ask(redis.url(), {"EXISTS", "celery"}).number == 0);
}

TEST_CASE(
    "a message that arrives at an idle consumer is delivered without waiting for the next look") {
    if (no_redis())
        return;
    server redis;
    receiver at(options_for(redis.url()));
    at.start();
    at->consume({"celery"}, 10);
    REQUIRE(at.wait_up());
    std::vector<std::chrono::microseconds> taken;
    for (std::size_t i = 1; i <= 50; ++i) {
        const auto from = now();
        // as Celery's client does it
        wire::celery::envelope e{parts_of("proj.add"), "", "celery", make_uuid(), false, {}};
        ask(redis.url(), {"LPUSH", "celery", wire::celery::encode_envelope(e).value()});
        REQUIRE(at.wait_count(i));
        taken.push_back(std::chrono::duration_cast<std::chrono::microseconds>(now() - from));
    }
    std::ranges::sort(taken);
    MESSAGE("from the client's connect to the delivery: median "
            << taken[25].count() << " us, slowest " << taken.back().count() << " us");
    CHECK(taken[25] < 50ms);
}

TEST_CASE("messages wait in `unacked` as Celery remembers them, and go back to the front when the "
          "broker closes") {
    if (no_redis())
        return;
    server redis;
    receiver at(options_for(redis.url()));
    at.handle = nullptr;
    at.start();
    for (const auto* id : {"one", "two", "three", "four"})
        REQUIRE(at.publish("celery", parts_of("proj.add", {}, 0, id)));
    at->consume({"celery"}, 3);
    REQUIRE(at.wait_count(3));
    CHECK(ask(redis.url(), {"HLEN", "unacked"}).number == 3);
    CHECK(ask(redis.url(), {"ZCARD", "unacked_index"}).number == 3);
    CHECK(ask(redis.url(), {"LLEN", "celery"}).number == 1);
    const auto entries = ask(redis.url(), {"HVALS", "unacked"});
    for (const auto& entry : entries.items) {
        const auto read = wire::celery::decode_unacked(entry.text);
        REQUIRE(read);
        CHECK(read->exchange == "");
        CHECK(read->routing_key == "celery");
    }
    at.close();
    CHECK(ask(redis.url(),
              {"EXISTS", "unacked", "unacked_index", "carillon:holders", "carillon:publishers"})
              .number == 0);
    const auto list = ask(redis.url(), {"LRANGE", "celery", "0", "-1"});
    REQUIRE(list.items.size() == 4);
    std::vector<std::string> order;
    std::vector<bool> again;
    for (auto one = list.items.rbegin(); one != list.items.rend(); ++one) {
        const auto read = wire::celery::decode_envelope(one->text).value();
        order.push_back(id_of(read.parts));
        again.push_back(read.redelivered && value(read.parts.headers)["redelivered"].to_bool());
    }
    CHECK(order == std::vector<std::string>{"one", "two", "three", "four"});
    CHECK(again == std::vector<bool>{true, true, true, false});
}

TEST_CASE("the smaller priority is served first, and queues are served in turn") {
    if (no_redis())
        return;
    server redis;
    receiver at(options_for(redis.url()));
    at.start();
    for (const auto priority : {9, 5, 0})
        REQUIRE(at.publish("a", parts_of("t", {}, priority, "p" + std::to_string(priority))));
    CHECK(ask(redis.url(), {"LLEN", "a" + sep + "3"}).number == 1);
    CHECK(ask(redis.url(), {"LLEN", "a" + sep + "9"}).number == 1);
    at->consume({"a"}, 1);
    REQUIRE(at.wait_count(3));
    CHECK(ids_of(at.now_seen()) == std::vector<std::string>{"p0", "p5", "p9"});

    at->consume({}, 0);
    for (const auto* id : {"b1", "b2", "b3"})
        REQUIRE(at.publish("b", parts_of("t", {}, 0, id)));
    for (const auto* id : {"c1", "c2", "c3"})
        REQUIRE(at.publish("c", parts_of("t", {}, 0, id)));
    at->consume({"b", "c"}, 1);
    REQUIRE(at.wait_count(9));
    auto ids = ids_of(at.now_seen());
    ids.erase(ids.begin(), ids.begin() + 3);
    CHECK(ids == std::vector<std::string>{"b1", "c1", "b2", "c2", "b3", "c3"});
}

TEST_CASE("a rejected message is gone, or comes again first and marked") {
    if (no_redis())
        return;
    server redis;
    receiver at(options_for(redis.url()));
    at.handle = [](broker& b, const delivery& d) {
        if (d.redelivered)
            b.ack(d.tag);
        else
            b.reject(d.tag, id_of(d.parts) == "again");
    };
    at.start();
    REQUIRE(at.publish("celery", parts_of("t", {}, 0, "never")));
    REQUIRE(at.publish("celery", parts_of("t", {}, 0, "again")));
    REQUIRE(at.publish("celery", parts_of("t", {}, 0, "last")));
    at->consume({"celery"}, 1);
    REQUIRE(at.wait_count(4));
    CHECK(ids_of(at.now_seen()) == std::vector<std::string>{"never", "again", "again", "last"});
    CHECK(at.now_seen().deliveries[2].redelivered);
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
}

TEST_CASE("what nobody can read is dropped and told, and the next message is delivered") {
    if (no_redis())
        return;
    server redis;
    auto options = options_for(redis.url());
    options.message_bytes_max = 1'000'000;
    receiver at(options);
    at.start();
    ask(redis.url(), {"LPUSH", "celery", "this is no JSON"});
    ask(redis.url(), {"LPUSH", "celery", "{}"});
    ask(redis.url(), {"LPUSH", "celery", "{\"body\": broken"});
    ask(redis.url(), {"LPUSH", "celery", "{" + std::string(3'000'000, ' ') + "}"});
    ask(redis.url(), {"SET", "celery" + sep + "3", "no list"});
    REQUIRE(at.publish("celery", parts_of("t", {}, 0, "good")));
    at->consume({"celery"}, 10);
    REQUIRE(at.wait_count(1));
    CHECK(ids_of(at.now_seen()) == std::vector<std::string>{"good"});
    CHECK(at.log.count("a message that nobody can read was dropped") == 4);
    CHECK(at.log.count("3000002 bytes") == 1);
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
    CHECK(at->status());
}

TEST_CASE("a delayed message appears in its queue when it is due, once for all brokers, before or "
          "after a restart") {
    if (no_redis())
        return;
    server redis;
    receiver first(options_for(redis.url())), second(options_for(redis.url()));
    first.start();
    second.start();
    first->consume({"celery"}, 10);
    second->consume({"celery"}, 10);
    {
        receiver sender(options_for(redis.url()));
        sender.start();
        for (int i = 0; i < 20; ++i)
            REQUIRE(sender.publish_at(utc_now() + 1500ms, "celery",
                                      parts_of("t", {}, i % 2 ? 5 : 0, std::to_string(i))));
    }
    CHECK(ask(redis.url(), {"ZCARD", "carillon:delayed"}).number == 20);
    const auto from = now();
    CHECK(first.now_seen().deliveries.empty());
    testing::poll_until([&] {
        return first.now_seen().deliveries.size() + second.now_seen().deliveries.size() >= 20;
    });
    const auto after = now() - from;
    CHECK(after > 1s);
    CHECK(after < 2500ms);
    auto all = ids_of(first.now_seen());
    const auto others = ids_of(second.now_seen());
    all.insert(all.end(), others.begin(), others.end());
    CHECK(all.size() == 20);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == 20);
    CHECK(becomes(redis.url(), {"EXISTS", "carillon:delayed", "carillon:delayed:counts", "unacked"},
                  0));
}

TEST_CASE("a delivery that is delayed leaves the worker's hands until then") {
    if (no_redis())
        return;
    server redis;
    receiver at(options_for(redis.url()));
    at.handle = [count = 0](broker& b, const delivery& d) mutable {
        if (++count == 1)
            b.delay(d.tag, utc_now() + 700ms);
        else
            b.ack(d.tag);
    };
    at.start();
    at->consume({"celery"}, 1);
    REQUIRE(at.publish("celery", parts_of("t", {"argument"}, 5, "later")));
    REQUIRE(at.wait_count(1));
    CHECK(becomes(redis.url(), {"ZCARD", "carillon:delayed"}, 1));
    CHECK(ask(redis.url(), {"HLEN", "unacked"}).number == 0);
    const auto from = now();
    REQUIRE(at.wait_count(2));
    CHECK(now() - from > 400ms);
    CHECK(now() - from < 2s);
    const auto both = at.now_seen().deliveries;
    CHECK(both[0].parts.body == both[1].parts.body);
    CHECK(value(both[0].parts.headers) == value(both[1].parts.headers));
    CHECK_FALSE(both[1].redelivered);
}

TEST_CASE("depths count all priorities, and a key prefix stands before every key") {
    if (no_redis())
        return;
    server redis;
    auto options = options_for(redis.url() + "/3");
    options.keyprefix = "site:";
    receiver at(options);
    at.handle = nullptr;
    at.start();
    REQUIRE(at.publish("q", parts_of("t", {}, 0)));
    REQUIRE(at.publish("q", parts_of("t", {}, 6)));
    REQUIRE(at.publish_at(utc_now() + 1h, "q", parts_of("t")));
    at->reply_queue();
    std::promise<std::vector<broker::queue_depth>> told;
    at->depths({"q", "empty"}, [&](const auto& found) { told.set_value(*found); });
    const auto found = told.get_future().get();
    REQUIRE(found.size() == 2);
    CHECK(found[0].ready == 2);
    CHECK(found[0].delayed == 1);
    CHECK(found[1].ready == 0);
    CHECK(found[1].delayed == 0);
    at->consume({"q"}, 1);
    REQUIRE(at.wait_count(1));
    const auto keys = ask(redis.url() + "/3", {"KEYS", "*"});
    CHECK(keys.items.size() >= 5);
    for (const auto& key : keys.items)
        CHECK(key.text.starts_with("site:"));
}

TEST_CASE("broadcasts of control and events go through the channels of the database, replies to "
          "the bound list") {
    if (no_redis())
        return;
    server redis;
    const auto url = redis.url() + "/2";
    receiver worker(options_for(url)), controller(options_for(url));
    worker.start();
    controller.start();
    worker->listen_to_control("celery@here");
    const auto replies = controller->reply_queue();
    REQUIRE(worker.wait_up());
    REQUIRE(controller.wait_up());
    for (const auto end = now() + 20s; now() < end;) // until the subscription is there
        if (ask(url, {"PUBSUB", "NUMSUB", "/2.celery.pidbox"}).items[1].number == 1)
            break;
    controller->emit("celery.pidbox", "", parts_of("a request"));
    REQUIRE(worker.wait([](const auto& s) { return s.controls.size() == 1; }));
    // as Celery's controller declares it, and as ours does
    worker->emit("reply.celery.pidbox", replies, parts_of("a reply"));
    worker->emit("", replies, parts_of("a result"));
    REQUIRE(controller.wait([](const auto& s) { return s.replies.size() == 2; }));
    worker->emit("reply.celery.pidbox", "nobody", parts_of("a reply"));
    controller.close();
    CHECK(ask(url, {"EXISTS", replies, "_kombu.binding.reply.celery.pidbox"}).number == 0);
}

TEST_CASE("a URL that cannot work is refused with what is wrong, without its password") {
    for (const auto* url :
         {"redis+pubsub://:secret@h/0", "redis://:secret@a,b", "redis://:secret@h/x"}) {
        const auto where = redis::one_server(url);
        REQUIRE_FALSE(where);
        CHECK(where.error().code == errc::invalid);
        CHECK(where.error().message.find("secret") == std::string::npos);
    }
}

} // namespace carillon::jobs::test
