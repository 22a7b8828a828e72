#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "jobs/broker/amqp_test.hpp"

using namespace carillon;
using namespace carillon::jobs;
using namespace carillon::jobs::amqp::test;
using namespace std::chrono_literals;

TEST_CASE("What is published is confirmed, delivered with all its parts, and gone once it is "
          "acknowledged") {
    if (no_rabbitmq())
        return;
    peer one;
    one.consume({"first"});
    auto parts = task_parts("a-1");
    REQUIRE(one.publish("first", parts));
    const auto got = one.next();
    CHECK(got.queue == "first");
    CHECK(got.exchange == "");
    CHECK(got.routing_key == "first");
    CHECK(!got.redelivered);
    CHECK(got.parts.body == parts.body);
    CHECK(got.parts.headers == parts.headers);
    CHECK(got.parts.properties == parts.properties);
    one.at->ack(got.tag);
    CHECK(one.wait_depth("first", 0));
}

TEST_CASE("20,000 publishes are confirmed and delivered in their order") {
    if (no_rabbitmq())
        return;
    constexpr int many = 20'000;
    peer sender;
    std::atomic<int> confirmed = 0, refused = 0;
    std::promise<void> all;
    for (int i = 0; i < many; ++i)
        sender.at->publish("order", task_parts(std::to_string(i)), [&](const result<void>& r) {
            refused += !r;
            if (++confirmed == many)
                all.set_value();
        });
    REQUIRE(all.get_future().wait_for(60s) == std::future_status::ready);
    CHECK(refused == 0);
    CHECK(sender.metric("carillon_amqp_unconfirmed") == 0);

    peer taker;
    std::promise<void> done;
    int expected = 0, out_of_order = 0;
    taker.instead = [&, to = taker.at.get()](jobs::delivery got) {
        out_of_order += id_of(got.parts) != std::to_string(expected);
        to->ack(got.tag);
        if (++expected == many)
            done.set_value();
    };
    taker.consume({"order"}, 500);
    REQUIRE(done.get_future().wait_for(60s) == std::future_status::ready);
    CHECK(out_of_order == 0);
    CHECK(taker.wait_depth("order", 0));
    taker.at.reset(); // all acknowledgements were read: nothing comes back
    CHECK(sender.wait_depth("order", 0));
}

TEST_CASE("No more than the prefetch is delivered, and acknowledging out of order makes room for "
          "as many") {
    if (no_rabbitmq())
        return;
    peer one;
    for (int i = 0; i < 10; ++i)
        REQUIRE(one.publish("window", task_parts(std::to_string(i))));
    one.consume({"window"}, 4);
    std::vector<jobs::delivery> held;
    for (int i = 0; i < 4; ++i)
        held.push_back(one.next());
    CHECK(one.quiet(200ms));
    one.at->ack(held[3].tag);
    one.at->ack(held[1].tag);
    CHECK(id_of(one.next().parts) == "4");
    CHECK(id_of(one.next().parts) == "5");
    CHECK(one.quiet(200ms));
    one.at->ack(held[0].tag);
    one.at->ack(held[0].tag); // spent: nothing happens
    one.at->ack(held[2].tag);
    CHECK(id_of(one.next().parts) == "6");
    CHECK(id_of(one.next().parts) == "7");
    CHECK(one.downs.all().empty());
}

TEST_CASE("A changed prefetch and other queues take effect while messages are held") {
    if (no_rabbitmq())
        return;
    peer one;
    for (int i = 0; i < 6; ++i)
        REQUIRE(one.publish("change", task_parts(std::to_string(i))));
    REQUIRE(one.publish("other", task_parts("o")));
    one.consume({"change"}, 1);
    const auto first = one.next();
    one.consume({"change", "other"}, 3);
    std::multiset<std::string> queues;
    for (int i = 0; i < 4; ++i)
        queues.insert(one.next().queue);
    CHECK(queues == std::multiset<std::string>{"change", "change", "change", "other"});
    CHECK(one.quiet(200ms));
    one.at->ack(first.tag);
    one.consume({}, 3);
    REQUIRE(one.wait_consumers("other", 0));
    REQUIRE(one.wait_status(true));
    REQUIRE(one.publish("other", task_parts("unseen")));
    CHECK(one.quiet(200ms));
}

TEST_CASE("A prefetch that changes again and again while messages flow breaks no connection, and "
          "each message comes once") {
    if (no_rabbitmq())
        return;
    constexpr int many = 3'000, changes = 200;
    peer sender;
    std::atomic<int> confirmed = 0;
    std::promise<void> all;
    for (int i = 0; i < many; ++i)
        sender.at->publish("often", task_parts(std::to_string(i)), [&](const result<void>&) {
            if (++confirmed == many)
                all.set_value();
        });
    REQUIRE(all.get_future().wait_for(60s) == std::future_status::ready);
    peer taker;
    REQUIRE(taker.wait_up());
    std::promise<void> done;
    std::set<std::string> seen;
    int came = 0;
    taker.instead = [&, to = taker.at.get()](jobs::delivery got) {
        seen.insert(id_of(got.parts));
        to->ack(got.tag);
        if (++came == many)
            done.set_value();
    };
    for (int i = 0; i < changes; ++i) {
        taker.consume({"often"}, i % 2 ? 2 : 3);
        // Its answer follows that of the declaration: a consumer was begun just now.
        REQUIRE(taker.depth("often"));
    }
    REQUIRE(done.get_future().wait_for(60s) == std::future_status::ready);
    CHECK(seen.size() == many);
    CHECK(came == many);
    CHECK(taker.wait_status(true));
    taker.at.reset();
    CHECK(taker.downs.all().empty());
    CHECK(sender.wait_depth("often", 0));
}

TEST_CASE(
    "What is rejected comes again or is gone, as was asked; what is held at the end comes again") {
    if (no_rabbitmq())
        return;
    auto one = std::make_unique<peer>();
    one->consume({"reject"});
    REQUIRE(one->publish("reject", task_parts("a")));
    const auto first = one->next();
    one->at->reject(first.tag, true);
    const auto again = one->next();
    CHECK(again.redelivered);
    CHECK(again.tag > first.tag);
    one->at->reject(again.tag, false);
    REQUIRE(one->publish("reject", task_parts("b")));
    CHECK(id_of(one->next().parts) == "b");
    one.reset();
    peer two;
    two.consume({"reject"});
    const auto back = two.next();
    CHECK(id_of(back.parts) == "b");
    CHECK(back.redelivered);
    CHECK(two.quiet(100ms));
}

TEST_CASE("Larger priorities are delivered first where the queue knows priorities") {
    if (no_rabbitmq())
        return;
    auto options = peer::options_for(node().url());
    options.queue_priority_max = 10;
    peer one(options);
    for (const int priority : {0, 5, 9}) {
        auto parts = task_parts(std::to_string(priority));
        parts.properties.set("priority", priority);
        REQUIRE(one.publish("priorities", parts));
    }
    one.consume({"priorities"}, 1);
    for (const auto* expected : {"9", "5", "0"}) {
        const auto got = one.next();
        CHECK(id_of(got.parts) == expected);
        one.at->ack(got.tag);
    }
}

TEST_CASE("A queue that exists with other arguments is used as it is, and that is said once") {
    if (no_rabbitmq())
        return;
    auto options = peer::options_for(node().url());
    options.queue_priority_max = 7;
    peer maker(options);
    REQUIRE(maker.publish("shaped", task_parts("a")));
    peer other;
    REQUIRE(other.publish("shaped", task_parts("b")));
    other.consume({"shaped"});
    CHECK(id_of(other.next().parts) == "a");
    CHECK(id_of(other.next().parts) == "b");
    CHECK(other.log.count("is used as it is") == 1);
    CHECK(other.downs.all().empty());
}

TEST_CASE("A quorum queue carries messages, and delayed ones reach it") {
    if (no_rabbitmq())
        return;
    auto options = peer::options_for(node().url());
    options.quorum_queues = true;
    options.queue_priority_max = 10; // quorum queues have none: left out
    peer one(options);
    one.consume({"quorum"}, 10);
    REQUIRE(one.publish("quorum", task_parts("a")));
    const auto got = one.next();
    CHECK(id_of(got.parts) == "a");
    one.at->ack(got.tag);
    CHECK(one.wait_depth("quorum", 0));
}

TEST_CASE("A message of 50 MB goes there and back; one above the limit is rejected and said") {
    if (no_rabbitmq())
        return;
    std::string body;
    body.resize(50'000'000, 'x');
    peer one;
    one.consume({"big"});
    REQUIRE(one.publish("big", task_parts("a", body)));
    auto got = one.next();
    CHECK(got.parts.body == body);
    one.at->ack(got.tag);
    CHECK(one.wait_depth("big", 0));

    auto options = peer::options_for(node().url());
    options.message_bytes_max = 1'000;
    peer small(options);
    small.consume({"small"});
    REQUIRE(one.publish("small", task_parts("large", std::string(300'000, 'y'))));
    REQUIRE(one.publish("small", task_parts("fits")));
    CHECK(id_of(small.next().parts) == "fits");
    CHECK(small.log.count("larger than this process takes") == 1);
    CHECK(one.wait_depth("small", 0));
}

TEST_CASE("More than may wait is refused at once, and so is one message that never fits") {
    if (no_rabbitmq())
        return;
    auto options = peer::options_for("amqp://127.0.0.1:" + std::to_string(free_port()));
    options.unconfirmed_max = 3;
    options.unconfirmed_bytes_max = 100'000;
    options.publish_timeout = 60s;
    auto one = std::make_unique<peer>(options);
    journal<errc> told;
    const auto note = [&](const result<void>& r) { told.add(r ? errc::internal : r.error().code); };
    for (int i = 0; i < 3; ++i)
        one->at->publish("q", task_parts("a"), note);
    one->at->publish("q", task_parts("b"), note);
    REQUIRE(told.wait_count(1));
    CHECK(told.all()[0] == errc::unavailable);
    one->at->publish("q", task_parts("c", std::string(100'001, 'x')), note);
    REQUIRE(told.wait_count(2));
    CHECK(told.all()[1] == errc::too_large);
    one.reset(); // what waited is told at the end
    CHECK(told.all().size() == 5);
    const auto all = told.all();
    CHECK(std::count(all.begin(), all.end(), errc::cancelled) == 3);
}

TEST_CASE(
    "A delayed message appears when it is due, keeps its headers and its place in the store") {
    if (no_rabbitmq())
        return;
    peer one;
    one.consume({"later", "x.later"});
    auto parts = task_parts("d");
    parts.headers.set("eta", "2026-01-01T00:00:00+00:00");
    parts.properties.set("expiration", "100");
    const auto begun = now();
    std::promise<result<void>> told;
    one.at->publish_at(utc_now() + 1500ms, "later", parts,
                       [&](const result<void>& r) { told.set_value(r); });
    REQUIRE(told.get_future().get());
    CHECK(now() - begun < 1400ms);
    const auto got = one.next();
    CHECK(now() - begun >= 1500ms);
    CHECK(now() - begun < 4s);
    CHECK(got.queue == "later");
    CHECK(got.parts.headers.find("eta")->to_text() == "2026-01-01T00:00:00+00:00");
    CHECK(got.parts.body == parts.body);
    CHECK(one.quiet(300ms)); // once, and not to a queue whose name ends alike

    // taken away from this worker, twice through the same queues
    one.at->delay(got.tag, utc_now() + 900ms);
    const auto again = one.next();
    CHECK(id_of(again.parts) == "d");
    CHECK(!again.redelivered);
    CHECK(now() - begun >= 2400ms);
    one.at->ack(again.tag);
    one.at->publish_at(utc_now() - 5s, "x.later", task_parts("at once"), nullptr);
    const auto past = one.next();
    CHECK(id_of(past.parts) == "at once");
    CHECK(past.queue == "x.later");
    one.at->ack(past.tag);
    CHECK(one.wait_depth("later", 0));
    for (int level = 0; level < 4; ++level)
        CHECK(one.wait_depth("celery_delayed_" + std::to_string(level), 0));
}

TEST_CASE("A delay of years waits at the broker") {
    if (no_rabbitmq())
        return;
    peer one;
    std::promise<result<void>> told;
    one.at->publish_at(utc_now() + 24h * 365 * 20, "far", task_parts("far"),
                       [&](const result<void>& r) { told.set_value(r); });
    REQUIRE(told.get_future().get());
    CHECK(one.wait_depth("celery_delayed_27", 1));
    CHECK(one.depth("far")->ready == 0);
}

TEST_CASE("Control requests are broadcast to all nodes, and replies come to the reply queue by "
          "both ways") {
    if (no_rabbitmq())
        return;
    peer w1, w2, asking;
    w1.at->listen_to_control("w1@test");
    w2.at->listen_to_control("w2@test");
    const auto queue = asking.at->reply_queue();
    CHECK(queue == asking.at->reply_queue());
    for (auto* one : {&w1, &w2, &asking})
        REQUIRE(one->wait_up());
    REQUIRE(w1.wait_depth("w1@test.celery.pidbox", 0));
    while (w1.depth("w2@test.celery.pidbox")->consumers != 1)
        ;
    message_parts request;
    request.headers = object{{"clock", 1}, {"expires", 0}};
    request.properties = object{{"content_type", "application/json"}};
    request.body = "{}";
    asking.at->emit("celery.pidbox", "", request);
    REQUIRE(w1.controls.wait_count(1));
    REQUIRE(w2.controls.wait_count(1));
    CHECK(w1.controls.all()[0].body == "{}");
    CHECK(w1.controls.all()[0].headers == request.headers);
    w1.at->emit("reply.celery.pidbox", queue, task_parts("r1"));
    w2.at->emit("", queue, task_parts("r2"));
    REQUIRE(asking.replies.wait_count(2));
    w1.at->emit("no such exchange", "x", task_parts("lost"));
    REQUIRE(w1.log.lines.wait(
        [](const auto& lines) { return lines.size() == 1; })); // and the channel is there again
    w1.at->emit("", queue, task_parts("r3"));
    REQUIRE(asking.replies.wait_count(3));
    CHECK(id_of(asking.replies.all()[2]) == "r3");
}

TEST_CASE("Depths are told of several queues, and of one that is not there") {
    if (no_rabbitmq())
        return;
    peer one;
    REQUIRE(one.publish("deep", task_parts("a")));
    REQUIRE(one.publish("deep", task_parts("b")));
    std::promise<std::vector<broker::queue_depth>> told;
    one.at->depths({"none", "deep", "none either"}, [&](const auto& r) {
        told.set_value(r ? *r : std::vector<broker::queue_depth>());
    });
    const auto all = told.get_future().get();
    REQUIRE(all.size() == 3);
    CHECK(all[0].ready == 0);
    CHECK(all[1].name == "deep");
    CHECK(all[1].ready == 2);
    CHECK(all[1].consumers == 0);
    CHECK(all[2].ready == 0);
    CHECK(one.downs.all().empty());
}
