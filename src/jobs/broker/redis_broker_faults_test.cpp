#include <algorithm>
#include <atomic>
#include <map>

#include <doctest/doctest.h>

#include "base/test_polling.hpp"
#include "base/test_support.hpp"
#include "jobs/broker/test_redis_broker.hpp"
#include "wire/celery/envelope.hpp"

namespace carillon::jobs::test {

namespace {

// Publishes many, while somebody else consumes and `trouble` happens; what was accepted must arrive.
class storm {
public:
    storm(const broker_options& options, int count) : sender_(options), worker_(options) {
        sender_.start();
        worker_.start();
        worker_->consume({"celery"}, 50);
        worker_.handle = [this](broker& b, const delivery& d) {
            b.ack(d.tag);
            std::lock_guard lock(guard_);
            ++arrived_[id_of(d.parts)];
        };
        REQUIRE(sender_.wait_up());
        REQUIRE(worker_.wait_up());
        publisher_ = std::thread([this, count] { publish(count); });
    }
    ~storm() {
        stop_ = true;
        publisher_.join();
    }

    bool all_told() const { return told_ == published_ && done_; }
    // True when all that was accepted has arrived.
    bool complete() {
        std::lock_guard lock(guard_);
        return all_told() && std::ranges::all_of(
                                 accepted_, [&](const auto& id) { return arrived_.contains(id); });
    }
    struct figures {
        std::size_t accepted, refused, arrived, twice;
    };
    figures count() {
        std::lock_guard lock(guard_);
        figures out{accepted_.size(), refused_, arrived_.size(), 0};
        for (const auto& [id, times] : arrived_)
            out.twice += static_cast<std::size_t>(times - 1);
        return out;
    }

private:
    // In small groups: so that it lasts while trouble comes.
    void publish(int count) {
        for (int i = 0; i < count && !stop_; ++i) {
            auto parts = parts_of("proj.add", {i, i});
            auto id = id_of(parts);
            ++published_;
            sender_->publish("celery", std::move(parts), [this, id](const result<void>& outcome) {
                std::lock_guard lock(guard_);
                if (outcome)
                    accepted_.push_back(id);
                else
                    ++refused_;
                ++told_;
            });
            while (published_ - told_ >= 20 && !stop_)
                std::this_thread::yield();
        }
        done_ = true;
    }

    std::mutex guard_;
    std::vector<std::string> accepted_;
    std::size_t refused_ = 0;
    std::map<std::string, int> arrived_;
    std::atomic<int> published_{0}, told_{0};
    std::atomic<bool> stop_{false}, done_{false};
    receiver sender_, worker_;
    std::thread publisher_;
};

void check(storm& s, std::string_view what) {
    testing::poll_until([&] { return s.complete(); }, 60s);
    const auto found = s.count();
    CHECK(s.complete());
    CHECK(found.refused == 0);
    CHECK(found.accepted == found.arrived);
    MESSAGE(what << ": accepted " << found.accepted << ", arrived twice " << found.twice);
}

} // namespace

TEST_CASE(
    "connections that the server kills lose no message: 10,000 published and consumed meanwhile") {
    if (no_redis())
        return;
    server redis;
    storm all(options_for(redis.url()), 10'000);
    int kills = 0;
    for (const auto end = now() + 60s; now() < end && !all.all_told(); ++kills) {
        ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"});
        if (kills % 3 == 0)
            ask(redis.url(), {"CLIENT", "KILL", "TYPE", "pubsub"});
        testing::elapse(40ms); // how often it happens
    }
    check(all, "killed " + std::to_string(kills) + " times");
    CHECK(kills > 3);
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
}

TEST_CASE("a server that is killed and comes back with its file, or is stopped for a while, loses "
          "no message") {
    if (no_redis())
        return;
    server redis({"--appendonly", "yes", "--appendfsync", "always"});
    storm all(options_for(redis.url()), 10'000);
    for (int i = 0; i < 3; ++i) {
        testing::elapse(150ms); // it works meanwhile
        redis.kill();
        redis.restart();
    }
    testing::elapse(100ms);
    redis.pause();
    testing::elapse(6s); // longer than a command may take
    redis.resume();
    check(all, "killed 3 times, stopped once");
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
}

TEST_CASE("what was held when the connection was lost comes again with a new tag, unless it was "
          "done meanwhile") {
    if (no_redis())
        return;
    server redis;
    receiver at(options_for(redis.url())), other(options_for(redis.url()));
    at.handle = nullptr;
    at.start();
    for (const auto* id : {"one", "two", "three"})
        REQUIRE(at.publish("celery", parts_of("t", {}, 0, id)));
    at->consume({"celery"}, 3);
    REQUIRE(at.wait_count(3));
    other.start();
    other->consume({"celery"}, 10);
    REQUIRE(other.wait_up());
    redis.pause();
    at->ack(at.now_seen().deliveries[1].tag); // perhaps nobody hears
    redis.resume();
    ask(redis.url(), {"CLIENT", "KILL", "TYPE", "normal"});
    REQUIRE(at.wait_count(5));
    const auto all = at.now_seen().deliveries;
    CHECK(id_of(all[3].parts) == "one");
    CHECK(id_of(all[4].parts) == "three");
    CHECK(all[3].redelivered);
    CHECK(all[3].tag > all[2].tag);
    at->ack(all[0].tag); // void
    at->ack(all[3].tag);
    at->ack(all[4].tag);
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
    CHECK(at.now_seen().deliveries.size() == 5);
    CHECK(other.now_seen().deliveries.empty());
}

TEST_CASE("a job of 12 s that is touched runs once though the visibility timeout is 5 s") {
    if (no_redis())
        return;
    server redis;
    auto options = options_for(redis.url());
    options.visibility_timeout = 5s;
    receiver first(options), second(options);
    first.handle = second.handle = nullptr;
    first.start();
    second.start();
    first->consume({"celery"}, 1);
    second->consume({"celery"}, 1);
    REQUIRE(first.publish("celery", parts_of("long")));
    for (int second_passed = 0; second_passed < 12; ++second_passed) {
        testing::elapse(1s); // the job
        for (auto* one : {&first, &second})
            for (const auto& d : one->now_seen().deliveries)
                (*one)->touch({d.tag});
    }
    auto& holder = first.now_seen().deliveries.empty() ? second : first;
    REQUIRE(holder.now_seen().deliveries.size() == 1);
    holder->ack(holder.now_seen().deliveries[0].tag);
    CHECK(becomes(redis.url(), {"EXISTS", "unacked", "celery"}, 0));
    CHECK(first.now_seen().deliveries.size() + second.now_seen().deliveries.size() == 1);
}

TEST_CASE(
    "a delivery that nobody touches goes to another worker, also one that Celery left behind") {
    if (no_redis())
        return;
    server redis;
    auto options = options_for(redis.url());
    options.visibility_timeout = 2s;
    receiver holder(options), other(options);
    holder.handle = nullptr;
    holder.start();
    holder->consume({"celery"}, 1);
    REQUIRE(holder.publish("celery", parts_of("t", {}, 0, "forgotten")));
    REQUIRE(holder.wait_count(1));
    // by a worker that was killed, for a queue that is bound to an exchange
    wire::celery::envelope e{parts_of("t", {}, 5, "celery's"), "jobs", "key", "a-tag", false, {}};
    const auto element = wire::celery::encode_envelope(e).value();
    ask(redis.url(), {"SADD", "_kombu.binding.jobs", "key\x06\x16\x06\x16other"});
    ask(redis.url(),
        {"HSET", "unacked", "a-tag", wire::celery::encode_unacked(element, "jobs", "key")});
    ask(redis.url(), {"ZADD", "unacked_index", "1000", "a-tag"});
    ask(redis.url(), {"HSET", "unacked", "broken", "[no JSON"});
    ask(redis.url(), {"ZADD", "unacked_index", "1000", "broken"});
    other.start();
    other->consume({"celery", "other"}, 10);
    REQUIRE(other.wait_count(2));
    std::map<std::string, delivery> found;
    for (const auto& d : other.now_seen().deliveries)
        found[id_of(d.parts)] = d;
    CHECK(found["forgotten"].redelivered);
    CHECK(found["celery's"].queue == "other");
    CHECK(found["celery's"].exchange == "jobs");
    CHECK(ask(redis.url(), {"LRANGE", "carillon:unreadable", "0", "-1"}).items.at(0).text ==
          "[no JSON");
    CHECK(becomes(redis.url(), {"EXISTS", "unacked", "unacked_index"}, 0));
}

TEST_CASE(
    "the messages of a worker that has died go to others long before the visibility timeout") {
    if (no_redis())
        return;
    server redis;
    wire::celery::envelope e{parts_of("t", {}, 0, "left"), "", "celery", "tag", false, {}};
    ask(redis.url(),
        {"HSET", "unacked", "dead.1",
         wire::celery::encode_unacked(wire::celery::encode_envelope(e).value(), "", "celery")});
    const auto present = std::to_string(
        std::chrono::duration_cast<std::chrono::seconds>(utc_now().time_since_epoch()).count());
    ask(redis.url(), {"ZADD", "unacked_index", present, "dead.1"});
    ask(redis.url(), {"ZADD", "carillon:holders", present, "dead"});
    ask(redis.url(), {"HSET", "carillon:publishers", "dead", "7"});
    ask(redis.url(), {"LPUSH", "dead", "a reply to nobody"});
    receiver at(options_for(redis.url()));
    at.start();
    at->consume({"celery"}, 1);
    const auto from = now();
    REQUIRE(at.wait_count(1));
    CHECK(now() - from > 14s);
    CHECK(now() - from < 25s);
    CHECK(at.now_seen().deliveries[0].redelivered);
    CHECK(becomes(redis.url(), {"EXISTS", "unacked", "dead"}, 0));
    CHECK(becomes(redis.url(), {"HEXISTS", "carillon:publishers", "dead"}, 0));
    CHECK(ask(redis.url(), {"ZCARD", "carillon:holders"}).number == 1);
}

TEST_CASE("publishes wait while the server is away, for their time and up to their number") {
    if (no_redis())
        return;
    server redis;
    auto options = options_for(redis.url());
    options.publish_timeout = 500ms;
    options.unconfirmed_max = 2;
    receiver at(options);
    at.start();
    REQUIRE(at.wait_up());
    redis.kill();
    REQUIRE(at.wait([](const auto& s) { return s.downs == 1; }));
    CHECK_FALSE(at->status());
    CHECK_FALSE(at->good_since());
    std::promise<result<void>> first, second;
    at->publish("celery", parts_of("t"), [&](const auto& outcome) { first.set_value(outcome); });
    at->publish("celery", parts_of("t"), [&](const auto& outcome) { second.set_value(outcome); });
    const auto third = at.publish("celery", parts_of("t"));
    REQUIRE_FALSE(third);
    CHECK(third.error().code == errc::unavailable);
    const auto expired = first.get_future().get();
    REQUIRE_FALSE(expired);
    CHECK(expired.error().code == errc::unavailable);
    second.get_future().wait();
    std::promise<result<void>> fourth;
    at->publish("celery", parts_of("t"), [&](const auto& outcome) { fourth.set_value(outcome); });
    redis.restart();
    CHECK(fourth.get_future().get());
    CHECK(at.wait_up(2));
    CHECK(at->status());
    CHECK(at->good_since());

    redis.kill();
    REQUIRE(at.wait([](const auto& s) { return s.downs == 2; }));
    std::promise<result<void>> last;
    at->publish("celery", parts_of("t"), [&](const auto& outcome) { last.set_value(outcome); });
    at.close();
    const auto cancelled = last.get_future().get();
    REQUIRE_FALSE(cancelled);
    CHECK(cancelled.error().code == errc::cancelled);
}

TEST_CASE("results for whoever waits outlast the server's absence, and the broker's patience") {
    if (no_redis())
        return;
    server redis({"--appendonly", "yes"});
    auto options = options_for(redis.url());
    options.publish_timeout = 300ms;
    receiver asker(options), worker(options);
    asker.start();
    worker.start();
    REQUIRE(worker.wait_up());
    const auto to = asker->reply_queue();
    const auto heard = [&](std::size_t count) {
        return asker.wait([=](const auto& s) { return s.replies.size() >= count; });
    };
    worker->emit("", to, parts_of("t", {}, 0, "live"));
    REQUIRE(heard(1));
    // some wait before the loss, with a job that is given up meanwhile, and some come after it
    redis.pause();
    worker->emit("", to, parts_of("t", {}, 0, "under way"));
    std::promise<result<void>> given_up;
    worker->publish("celery", parts_of("t"), [&](const auto& told) { given_up.set_value(told); });
    redis.stop();
    REQUIRE(worker.wait([](const auto& s) { return s.downs == 1; }));
    worker->emit("", to, parts_of("t", {}, 0, "away"));
    given_up.get_future().wait();
    CHECK_FALSE(worker.publish("celery", parts_of("t")));
    worker->emit("celeryev", "worker.heartbeat", parts_of("t"));
    redis.restart();
    const auto heard_of = [&](const std::string& id) {
        return asker.wait([&](const auto& s) {
            return std::ranges::any_of(s.replies,
                                       [&](const auto& each) { return id_of(each) == id; });
        });
    };
    CHECK(heard_of("under way"));
    CHECK(heard_of("away"));
    CHECK(testing::sum_of(worker.counted, "carillon_redis_broker_dropped_total") == 1);
    worker->emit("", to, parts_of("t", {}, 0, "last"));
    worker.close();
    CHECK(heard_of("last"));
}

TEST_CASE("results above the number that is kept are dropped, counted, and told at the end") {
    receiver worker(options_for("redis://127.0.0.1:1"));
    worker.start();
    const auto dropped = [&] {
        return testing::sum_of(worker.counted, "carillon_redis_broker_dropped_total");
    };
    constexpr std::size_t kept = 10'000;
    auto large = parts_of("t");
    large.body.resize(std::size_t{17} << 20, ' ');
    worker->emit("", "somebody", std::move(large));
    const auto small = parts_of("t");
    for (std::size_t i = 0; i < kept + 2; ++i)
        worker->emit("", "somebody", small);
    CHECK(testing::poll_until([&] { return dropped() >= 3; }, 20s));
    worker->publish("celery", parts_of("t"), {}); // has a place of its own
    worker.close();
    CHECK(dropped() == 3 + kept);
    CHECK(worker.log.count("were not sent before the end") == 1);
}

TEST_CASE("a broker that ends before it was started, or connected, tells what it was asked for") {
    for (const bool started : {false, true}) {
        receiver at(options_for("redis://127.0.0.1:1"));
        if (started)
            at.start();
        std::promise<result<void>> told;
        std::promise<bool> found;
        at->consume({"celery"}, 1);
        at->publish("celery", parts_of("t"), [&](const auto& outcome) { told.set_value(outcome); });
        at->depths({"celery"}, [&](const auto& depths) { found.set_value(depths.has_value()); });
        at.close();
        const auto outcome = told.get_future().get();
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().code == errc::cancelled);
        CHECK_FALSE(found.get_future().get());
    }
}

TEST_CASE("a server without memory takes no message, says so, and gives what it has") {
    if (no_redis())
        return;
    server redis;
    auto options = options_for(redis.url());
    options.publish_timeout = 700ms;
    receiver at(options);
    at.start();
    for (int i = 0; i < 3; ++i)
        REQUIRE(at.publish("celery", parts_of("t")));
    ask(redis.url(), {"CONFIG", "SET", "maxmemory", "1"});
    const auto refused = at.publish("celery", parts_of("t"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::unavailable);
    CHECK(refused.error().message.find("OOM") != std::string::npos);
    at->consume({"celery"}, 2);
    REQUIRE(at.wait_count(3));
    ask(redis.url(), {"CONFIG", "SET", "maxmemory", "0"});
    CHECK(at.publish("celery", parts_of("t")));
    REQUIRE(at.wait_count(4));
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
}

} // namespace carillon::jobs::test
