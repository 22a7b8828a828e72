#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>

#include "net/blocking_pool.hpp"

using namespace carillon;
using net::blocking_pool;

TEST_CASE("a pool refuses and counts what is more than may wait") {
    metrics counted;
    blocking_pool pool(1, 2, counted);
    std::promise<void> started, go_on;
    auto may_go_on = go_on.get_future();
    REQUIRE(pool.submit([&] {
        started.set_value();
        may_go_on.wait();
    }));
    started.get_future().wait();
    std::atomic<int> ran = 0;
    CHECK(pool.submit([&] { ++ran; }));
    CHECK(pool.submit([&] { ++ran; }));
    CHECK_FALSE(pool.submit([&] { ran += 100; }));
    auto& refused = counted.add(metric_kind::counter, "carillon_blocking_refused_total", "");
    CHECK(refused.get() == 1);
    go_on.set_value();
    pool.stop();
    CHECK(ran == 2);
}

TEST_CASE("a stopped pool has run what waited, and takes no more") {
    metrics counted;
    blocking_pool pool(2, 1000, counted);
    std::atomic<int> ran = 0;
    for (int i = 0; i < 500; ++i)
        CHECK(pool.submit([&] { ++ran; }));
    pool.stop();
    CHECK(ran == 500);
    CHECK_FALSE(pool.submit([&] { ++ran; }));
    pool.stop();
    CHECK(ran == 500);
    CHECK(counted.add(metric_kind::gauge, "carillon_blocking_waiting", "").get() == 0);
}

TEST_CASE("one thread takes work in the order of submission") {
    metrics counted;
    std::vector<int> order;
    blocking_pool pool(1, 1000, counted);
    for (int i = 0; i < 100; ++i)
        CHECK(pool.submit([&order, i] { order.push_back(i); }));
    pool.stop();
    REQUIRE(order.size() == 100);
    CHECK(std::ranges::is_sorted(order));
}
