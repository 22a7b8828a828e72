#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "jobs/broker/amqp_test.hpp"

using namespace carillon;
using namespace carillon::jobs;
using namespace carillon::jobs::amqp::test;
using namespace std::chrono_literals;

namespace {

// Counts what is delivered, by id, and acknowledges it.
class counting {
public:
    explicit counting(peer& at) : at_(at) {
        at_.instead = [this, to = at.at.get()](jobs::delivery got) {
            to->ack(got.tag);
            std::lock_guard lock(guard_);
            ++deliveries_;
            ids_.insert(id_of(got.parts));
            grown_.notify_all();
        };
    }
    ~counting() { at_.at.reset(); } // before this is gone
    counting(const counting&) = delete;
    // True when each of that many ids came.
    bool wait_ids(std::size_t many, std::chrono::seconds patience = 60s) {
        std::unique_lock lock(guard_);
        return grown_.wait_for(lock, patience, [&] { return ids_.size() == many; });
    }
    std::size_t deliveries() const {
        std::lock_guard lock(guard_);
        return deliveries_;
    }

private:
    peer& at_;
    mutable std::mutex guard_;
    std::condition_variable grown_;
    std::set<std::string> ids_;
    std::size_t deliveries_ = 0;
};

// Publishes numbered messages and remembers which were confirmed.
struct burst {
    burst(peer& at, const std::string& queue, int first, int count) {
        for (int i = first; i < first + count; ++i)
            at.at->publish(queue, task_parts(std::to_string(i)),
                           [this](const result<void>& r) { told.add(r.has_value()); });
    }
    bool all_confirmed(std::size_t count) {
        if (!told.wait_count(count, soon(60s)))
            return false;
        const auto all = told.all();
        return static_cast<std::size_t>(std::count(all.begin(), all.end(), true)) == count;
    }
    journal<bool> told;
};

} // namespace

TEST_CASE("Connections that the operator closes come back, and nothing that was accepted is lost") {
    if (no_rabbitmq())
        return;
    peer one;
    counting seen(one);
    one.consume({"closed"}, 50);
    REQUIRE(one.wait_up());
    constexpr int together = 2'000;
    std::atomic<bool> enough = false;
    std::vector<std::unique_ptr<burst>> sent;
    std::thread sending([&] { // without a pause, so that each loss meets some that are under way
        while (!enough) {
            sent.push_back(std::make_unique<burst>(
                one, "closed", static_cast<int>(sent.size()) * together, together));
            if (sent.size() > 2)
                sent[sent.size() - 3]->told.wait_count(together);
        }
    });
    for (std::size_t round = 1; round <= 3; ++round) {
        node().control({"close_all_connections", "a test"});
        CHECK(one.downs.wait_count(round));
        CHECK(one.wait_up(round + 1));
    }
    enough = true;
    sending.join();
    for (auto& some : sent)
        CHECK(some->all_confirmed(together));
    CHECK(seen.wait_ids(sent.size() * together));
    CHECK(one.metric("carillon_amqp_connection_losses_total") == 3);
    CHECK(one.at->status());
    MESSAGE((sent.size() * together), " messages over three losses: delivered ", seen.deliveries(),
            ", repeated ", one.metric("carillon_amqp_repeated_total"));
}

TEST_CASE("A node that is killed and started again on its data loses nothing that was confirmed") {
    if (no_rabbitmq())
        return;
    peer sender, taker;
    REQUIRE(sender.wait_up());
    burst before(sender, "killed", 0, 15'000);
    REQUIRE(before.told.wait_count(2'000));
    node().kill();
    REQUIRE(sender.wait_status(false));
    CHECK(!sender.at->good_since());
    burst meanwhile(sender, "killed", 15'000, 10);
    node().start();
    counting seen(taker);
    taker.consume({"killed"}, 200);
    REQUIRE(before.told.wait_count(15'000));
    REQUIRE(meanwhile.told.wait_count(10));
    // each was told: confirmed, or late because the node was away for longer than a publish waits
    const auto confirmed = sender.metric("carillon_amqp_confirmed_total");
    CHECK(confirmed + sender.metric("carillon_amqp_failed_total") == 15'010);
    CHECK(seen.wait_ids(static_cast<std::size_t>(confirmed)));
    MESSAGE("confirmed ", confirmed, " of 15,010, repeated ",
            sender.metric("carillon_amqp_repeated_total"), ", delivered ", seen.deliveries());
}

TEST_CASE("A broker that is away at first is waited for; what waits too long is told in time") {
    if (no_rabbitmq())
        return;
    rabbitmq* later = &node();
    auto options =
        peer::options_for("amqp://127.0.0.1:" + std::to_string(free_port()) + "//," + later->url());
    options.publish_timeout = 300ms;
    peer nobody(peer::options_for("amqp://127.0.0.1:" + std::to_string(free_port())));
    CHECK(!nobody.at->status());
    auto away = options;
    away.url = "amqp://127.0.0.1:" + std::to_string(free_port());
    peer lonely(away);
    const auto begun = now();
    const auto told = lonely.publish("q", task_parts("a"));
    REQUIRE(!told);
    CHECK(told.error().code == errc::unavailable);
    CHECK(now() - begun >= 300ms);
    CHECK(now() - begun < 2s);
    std::promise<errc> depths;
    lonely.at->depths({"q"}, [&](const auto& r) { depths.set_value(r.error().code); });
    CHECK(depths.get_future().get() == errc::unavailable);
    CHECK(lonely.log.count("cannot be reached") == 1);

    peer two(options); // the first host is nobody, the second is there
    REQUIRE(two.wait_up());
    CHECK(two.publish("failover", task_parts("a")));
    CHECK(two.at->status());
    CHECK(two.at->good_since());
}

TEST_CASE("A wrong password is said once, clearly, and tried again; so is a virtual host that is "
          "not there") {
    if (no_rabbitmq())
        return;
    const auto at = "127.0.0.1:" + std::to_string(node().port());
    auto options = peer::options_for("amqp://guest:geheim@" + at);
    options.publish_timeout = 500ms;
    peer wrong(options);
    REQUIRE(!wrong.publish("q", task_parts("a")));
    CHECK(wrong.log.count("refuses the login") == 1);
    CHECK(wrong.log.count("geheim") == 0);
    const auto status = wrong.at->status();
    REQUIRE(!status);
    CHECK(status.error().message.find("refuses the user guest or the password") !=
          std::string::npos);
    CHECK(wrong.at->name() == "amqp://" + at + "//");

    peer nowhere(peer::options_for("amqp://" + at + "/nowhere"));
    REQUIRE(nowhere.log.lines.wait_count(1));
    CHECK(nowhere.log.count("nowhere") == 1);
    node().control({"add_vhost", "late/host"});
    node().control({"set_permissions", "-p", "late/host", "guest", ".*", ".*", ".*"});
    peer there(peer::options_for("amqp://" + at + "/late%2Fhost"));
    REQUIRE(there.wait_up());
    CHECK(there.publish("q", task_parts("a")));
}

TEST_CASE("During a memory alarm publishes wait and status says so, while deliveries and "
          "acknowledgements go on") {
    if (no_rabbitmq())
        return;
    auto options = peer::options_for(node().url());
    options.publish_timeout = 30s;
    peer one(options);
    for (int i = 0; i < 300; ++i)
        REQUIRE(one.publish("alarm", task_parts(std::to_string(i))));
    node().control({"set_vm_memory_high_watermark", "0"});
    journal<bool> told;
    one.at->publish("alarm", task_parts("300"), [&](const result<void>& r) { told.add(!!r); });
    REQUIRE(one.wait_status(false));
    CHECK(one.at->status().error().message.find("the broker blocks publishers: ") == 0);
    CHECK(!one.at->good_since());
    for (int i = 301; i < 2'000; ++i)
        one.at->publish("alarm", task_parts(std::to_string(i)),
                        [&](const result<void>& r) { told.add(!!r); });
    counting seen(one);
    one.consume({"alarm"}, 20);
    CHECK(seen.wait_ids(300));
    CHECK(one.downs.all().empty());

    auto hasty = options;
    hasty.publish_timeout = 500ms;
    peer late(hasty);
    const auto refused = late.publish("alarm", task_parts("late"));
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::unavailable);
    { // an end in the midst of it does not hang
        peer leaving(options);
        leaving.at->publish("alarm", task_parts("given up", std::string(2'000'000, 'x')), nullptr);
        REQUIRE(leaving.wait_status(false));
        const auto begun = now();
        leaving.at.reset();
        CHECK(now() - begun < 3s);
    }
    node().control({"set_vm_memory_high_watermark", "0.4"});
    REQUIRE(one.wait_status(true));
    REQUIRE(told.wait_count(1'700));
    CHECK(one.log.count("blocks publishers") == 1);
    const auto all = told.all();
    CHECK(std::count(all.begin(), all.end(), false) == 0);
}

TEST_CASE("A queue that is deleted while it is consumed is made again, and consumed") {
    if (no_rabbitmq())
        return;
    peer one;
    one.consume({"deleted"});
    REQUIRE(one.publish("deleted", task_parts("a")));
    const auto held = one.next();
    for (int round = 0; round < 3; ++round) {
        node().control({"delete_queue", "deleted"});
        REQUIRE(one.log.lines.wait(
            [round](const auto& lines) { return static_cast<int>(lines.size()) > round; }));
        REQUIRE(one.wait_status(true));
        REQUIRE(one.publish("deleted", task_parts("b" + std::to_string(round))));
        const auto got = one.next();
        CHECK(id_of(got.parts) == "b" + std::to_string(round));
        one.at->ack(got.tag);
    }
    one.at->ack(held.tag); // its queue is gone: nothing happens
    REQUIRE(one.publish("deleted", task_parts("last")));
    CHECK(id_of(one.next().parts) == "last");
    CHECK(one.downs.all().empty());
}

TEST_CASE(
    "A queue that was deleted after it had been declared is declared again for what is published") {
    if (no_rabbitmq())
        return;
    peer one;
    REQUIRE(one.publish("vanished", task_parts("a")));
    node().control({"delete_queue", "vanished"});
    REQUIRE(one.publish("vanished", task_parts("b")));
    CHECK(one.wait_depth("vanished", 1));
    CHECK(one.metric("carillon_amqp_repeated_total") == 1);
}

TEST_CASE("One message that makes the server close the channel fails alone") {
    if (no_rabbitmq())
        return;
    node().control({"eval", "application:set_env(rabbit, max_message_size, 100000)."});
    peer one;
    REQUIRE(one.wait_up());
    journal<std::string> told;
    for (int i = 0; i < 50; ++i)
        one.at->publish("sizes",
                        task_parts(std::to_string(i), std::string(i == 20 ? 150'000 : 10, 'x')),
                        [&told, i](const result<void>& r) {
                            told.add(std::to_string(i) + (r ? "" : " " + r.error().message));
                        });
    REQUIRE(told.wait_count(50));
    node().control({"eval", "application:set_env(rabbit, max_message_size, 134217728)."});
    std::size_t failed = 0;
    for (const auto& line : told.all())
        if (line.find(' ') != std::string::npos) {
            ++failed;
            CHECK(line.find("20 RabbitMQ: PRECONDITION_FAILED") == 0);
        }
    CHECK(failed == 1);
    CHECK(one.downs.all().empty());
    REQUIRE(one.publish("sizes", task_parts("after")));
}

TEST_CASE("A full queue that refuses is told") {
    if (no_rabbitmq())
        return;
    node().control({"set_policy", "full", "^full$",
                    R"({"max-length":1,"overflow":"reject-publish"})", "--apply-to", "queues"});
    peer one;
    int refused = 0;
    for (int i = 0; i < 4; ++i) {
        const auto told = one.publish("full", task_parts(std::to_string(i)));
        if (!told) {
            CHECK(told.error().code == errc::unavailable);
            ++refused;
        }
    }
    CHECK(refused >= 2);
}

TEST_CASE("A server that is silent is taken for gone") {
    if (no_rabbitmq())
        return;
    auto options = peer::options_for(node().url());
    options.heartbeat = 1s;
    options.connect_timeout = 500ms;
    peer one(options);
    REQUIRE(one.wait_up());
    CHECK(!one.downs.wait_count(1, soon(2500ms))); // heartbeats keep it
    node().pause();
    CHECK(one.downs.wait_count(1, soon(10s)));
    CHECK(one.downs.all()[0].find("without a heartbeat") != std::string::npos);
    node().resume();
    CHECK(one.wait_up(2));
}

TEST_CASE("Tags of a connection that is lost are void, and what they stood for comes again") {
    if (no_rabbitmq())
        return;
    peer one;
    one.consume({"void"}, 1);
    REQUIRE(one.publish("void", task_parts("a")));
    const auto first = one.next();
    node().control({"close_all_connections", "a test"});
    REQUIRE(one.wait_up(2));
    const auto again = one.next();
    CHECK(id_of(again.parts) == "a");
    CHECK(again.redelivered);
    CHECK(again.tag > first.tag);
    one.at->ack(first.tag);
    one.at->reject(first.tag, true);
    one.at->delay(first.tag, utc_now() + 1s);
    REQUIRE(one.publish("void", task_parts("b")));
    CHECK(one.quiet(200ms)); // the first one still holds its place
    one.at->ack(again.tag);
    CHECK(id_of(one.next().parts) == "b");
    CHECK(one.downs.all().size() == 1);
}

TEST_CASE("The end takes no second, connected or not, and tells everybody") {
    if (no_rabbitmq())
        return;
    for (const bool up : {true, false}) {
        peer one;
        if (up)
            REQUIRE(one.wait_up());
        std::atomic<int> told = 0;
        for (int i = 0; i < 1'000; ++i)
            one.at->publish("end", task_parts(std::to_string(i)),
                            [&](const result<void>&) { ++told; });
        one.at->depths({"end"}, [&](const auto&) { ++told; });
        const auto begun = now();
        one.at.reset();
        CHECK(now() - begun < 1s);
        CHECK(told == 1'001);
    }
    journal<errc> never_started;
    metrics counted;
    auto made = open_amqp_broker(peer::options_for(node().url()), silent_log(), counted);
    (*made)->publish("end", task_parts("a"),
                     [&](const result<void>& r) { never_started.add(r.error().code); });
    made = failure{};
    CHECK(never_started.all() == std::vector{errc::cancelled});
}
