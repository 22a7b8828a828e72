#include <doctest/doctest.h>

#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "channels/test_layer.hpp"
#include <carillon/base/task.hpp>
#include <carillon/channels/confirm.hpp>

using namespace carillon;
using carillon::channels::test::two_shards;

namespace {

constexpr std::chrono::seconds patience{20};

// A layer that accepts at once and tells later, from a thread of its own, when the test lets it.
class late_layer final : public channel_layer {
public:
    ~late_layer() override { answer_all(); }
    result<void> group_send(std::string_view, event) override { return {}; }
    result<void> send(std::string_view, event) override { return {}; }
    result<void> group_add(std::string_view, std::string_view) override { return {}; }
    result<void> group_discard(std::string_view, std::string_view) override { return {}; }
    void group_send_confirmed(std::string_view group, event, delivery_told told) override {
        std::lock_guard lock(guard_);
        if (group == "full")
            waiting_.push_back([told] {
                told(failure{errc::channel_full, "the channel is full"});
            });
        else
            waiting_.push_back([told] { told(delivery{3, 1}); });
    }
    // Tells everything that waits. The thread has ended at the return.
    void answer_all() {
        std::vector<std::function<void()>> answers;
        {
            std::lock_guard lock(guard_);
            answers.swap(waiting_);
        }
        std::thread([&] {
            for (const auto& one : answers)
                one();
        }).join();
    }

private:
    std::mutex guard_;
    std::vector<std::function<void()>> waiting_;
};

struct finished {
    std::optional<delivery> reached;
    std::optional<errc> failed;
    net::shard* where = nullptr;
};

// A coroutine on a shard, as a consumer's handler is one.
class sender final : private completion {
public:
    explicit sender(channel_layer& layer) : layer_(layer) {}
    // On a shard.
    void start(std::string group) {
        running_ = send(std::move(group));
        running_.start(*this);
    }
    void drop() { running_ = {}; }
    std::future<finished> end() { return ended_.get_future(); }

private:
    task<> send(std::string group) {
        auto sent = confirm_group_send(layer_, group, event("news", {}));
        try {
            told_.reached = co_await sent;
        } catch (const error& refused) {
            told_.failed = refused.code();
        }
        told_.where = net::shard::current();
    }
    void completed(std::exception_ptr) noexcept override { ended_.set_value(told_); }

    channel_layer& layer_;
    finished told_;
    std::promise<finished> ended_;
    task<> running_;
};

} // namespace

TEST_CASE("a send that is confirmed at once does not suspend") {
    two_shards house;
    CHECK(house.layer.group_add("room", "queue"));
    sender one(house.layer), refused(house.layer);
    auto told = one.end(), refusal = refused.end();
    house.on(0, [&](net::shard&) {
        one.start("room");
        CHECK(told.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
        refused.start("no group");
    });
    CHECK(told.get().reached->queues == 1);
    CHECK(refusal.get().failed == errc::invalid);
}

TEST_CASE("a coroutine resumes on its own shard with what the layer told from another thread") {
    two_shards house;
    late_layer late;
    sender one(late), two(late), three(late);
    auto first = one.end(), second = two.end(), third = three.end();
    house.on(0, [&](net::shard&) { one.start("room"); });
    house.on(1, [&](net::shard&) { two.start("room"); });
    house.on(1, [&](net::shard&) { three.start("full"); });
    CHECK(first.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
    late.answer_all();
    for (auto* one_end : {&first, &second, &third})
        REQUIRE(one_end->wait_for(patience) == std::future_status::ready);
    const auto on_first = first.get(), on_second = second.get(), refused = third.get();
    CHECK(on_first.where == house.shards[0].get());
    CHECK(on_first.reached->queues == 3);
    CHECK(on_first.reached->full == 1);
    CHECK(on_second.where == house.shards[1].get());
    CHECK(refused.where == house.shards[1].get());
    CHECK(refused.failed == errc::channel_full);
}

TEST_CASE("a coroutine that was destroyed while it waited is not resumed") {
    two_shards house;
    late_layer late;
    sender before(late), between(late);
    house.on(0, [&](net::shard&) {
        before.start("room");
        before.drop();
        between.start("room");
        late.answer_all(); // the resumption is on its way
        between.drop();
    });
    house.on(0, [](net::shard&) {}); // and would have come by now
}

TEST_CASE("a receipt that nobody awaits is no matter, and one may be awaited after the answer") {
    two_shards house;
    late_layer late;
    { const auto forgotten = confirm_group_send(late, "room", event("news", {})); }
    const auto known = confirm_group_send(late, "room", event("news", {}));
    late.answer_all();
    for (int i = 0; i < 2; ++i)
        CHECK(wait_confirmed(known, now()).queues == 3);
}

TEST_CASE("a thread waits for the confirmation until its deadline") {
    two_shards house;
    late_layer late;
    const auto sent = confirm_group_send(late, "room", event("news", {}));
    const auto full = confirm_group_send(late, "full", event("news", {}));
    const auto code_of = [](const confirmed& receipt, steady_time deadline) {
        try {
            wait_confirmed(receipt, deadline);
        } catch (const error& refused) {
            return refused.code();
        }
        return errc::internal;
    };
    CHECK(code_of(sent, now() + std::chrono::milliseconds(5)) == errc::timed_out);
    auto waiting = std::async(std::launch::async,
                              [&] { return wait_confirmed(sent, now() + patience).queues; });
    late.answer_all();
    CHECK(waiting.get() == 3);
    CHECK(code_of(full, now() + patience) == errc::channel_full);
}

TEST_CASE("a send to one channel is confirmed too") {
    channel_layer_options options;
    options.capacity = 1;
    two_shards house(options);
    const auto first = confirm_send(house.layer, "queue", event("job", {}));
    const auto second = confirm_send(house.layer, "queue", event("job", {}));
    CHECK(wait_confirmed(first, now()).queues == 1);
    CHECK_THROWS_AS(wait_confirmed(second, now()), error);
}
