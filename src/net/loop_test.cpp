#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "net/loop.hpp"

using namespace carillon;
using net::loop;

TEST_CASE("posts of one thread run in their order, whoever else posts") {
    loop events;
    constexpr int posters = 3, each = 5000;
    std::vector<int> last(posters, -1);
    bool in_order = true;
    int taken = 0;
    std::vector<std::thread> threads;
    for (int who = 0; who < posters; ++who)
        threads.emplace_back([&, who] {
            for (int i = 0; i < each; ++i)
                events.post([&, who, i] {
                    auto& before = last[static_cast<std::size_t>(who)];
                    in_order = in_order && before == i - 1;
                    before = i;
                    if (++taken == posters * each)
                        events.stop();
                });
        });
    events.run();
    for (auto& one : threads)
        one.join();
    CHECK(in_order);
    CHECK(taken == posters * each);
}

TEST_CASE("what posted work owns is gone when the next work runs") {
    loop events;
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> seen = owned;
    bool gone = false;
    events.post([kept = std::move(owned)] {});
    events.post([&] {
        gone = seen.expired();
        events.stop();
    });
    events.run();
    CHECK(gone);
}

TEST_CASE("what is deferred runs before the turn ends, what that defers too") {
    loop events;
    std::vector<int> order;
    events.on_turn_end([&] { order.push_back(9); });
    events.post([&] {
        events.defer([&] {
            order.push_back(2);
            events.defer([&] {
                order.push_back(3);
                events.stop();
            });
        });
        order.push_back(1);
    });
    events.run();
    CHECK(order == std::vector<int>{1, 2, 3, 9});
}

TEST_CASE("what is deferred at the end of a turn runs in the next one, at once") {
    loop events;
    std::vector<int> order;
    events.on_turn_end([&] {
        order.push_back(9);
        if (order.size() == 1)
            events.defer([&] {
                order.push_back(1);
                events.stop();
            });
    });
    events.post([] {});
    events.run();
    CHECK(order == std::vector<int>{9, 1, 9});
}

namespace {

// Defers itself for ever.
struct endless {
    loop& events;
    int& runs;
    void operator()() {
        ++runs;
        events.defer(endless{events, runs});
    }
};

} // namespace

TEST_CASE("work that defers itself for ever does not keep the loop from anything else") {
    loop events;
    int runs = 0, turns = 0;
    events.on_turn_end([&] {
        if (++turns == 3)
            events.stop();
    });
    events.post([&] { events.defer(endless{events, runs}); });
    events.run();
    CHECK(turns == 3);
    CHECK(runs < 1000);
}

TEST_CASE("timers fire in order, not early, and not when they were cancelled") {
    loop events;
    const auto start = now();
    std::vector<int> fired;
    using std::chrono::milliseconds;
    events.at(start + milliseconds(30), [&] {
        fired.push_back(2);
        CHECK(now() >= start + milliseconds(30));
        events.stop();
    });
    const auto cancelled = events.at(start + milliseconds(20), [&] { fired.push_back(0); });
    events.at(start + milliseconds(10), [&] {
        fired.push_back(1);
        events.cancel(cancelled);
    });
    events.run();
    CHECK(fired == std::vector<int>{1, 2});
}

TEST_CASE("work that nobody takes any more is dropped with what it owns") {
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> seen = owned;
    {
        loop events;
        events.stop();
        events.run();
        events.post([kept = std::move(owned)] {});
        CHECK_FALSE(seen.expired());
    }
    CHECK(seen.expired());
}
