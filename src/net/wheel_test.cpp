#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "net/wheel.hpp"

using carillon::net::wheel;
using carillon::net::wheel_entry;

namespace {

struct entry : wheel_entry {
    explicit entry(int n) : number(n) {}
    int number;
};

std::vector<int> due_at(wheel& clock, std::uint32_t second) {
    std::vector<int> due;
    clock.advance(second,
                  [&](wheel_entry& one) { due.push_back(static_cast<entry&>(one).number); });
    return due;
}

} // namespace

TEST_CASE("the wheel reminds in the second that was asked for, laps later too") {
    wheel clock;
    std::vector<std::unique_ptr<entry>> alarms;
    std::mt19937 dice(3);
    std::vector<std::uint32_t> wanted;
    for (int i = 0; i < 500; ++i) {
        wanted.push_back(1 + static_cast<std::uint32_t>(dice() % 400));
        alarms.push_back(std::make_unique<entry>(i));
        clock.schedule(*alarms.back(), wanted.back());
    }
    std::size_t seen = 0;
    for (std::uint32_t second = 1; second <= 400; ++second)
        for (const int number : due_at(clock, second)) {
            CHECK(wanted[static_cast<std::size_t>(number)] == second);
            ++seen;
        }
    CHECK(seen == 500);
}

TEST_CASE("a second that has passed already counts as the next one") {
    wheel clock;
    due_at(clock, 100);
    entry late(1);
    clock.schedule(late, 3);
    CHECK(due_at(clock, 100).empty());
    CHECK(due_at(clock, 101) == std::vector<int>{1});
}

TEST_CASE("schedule_by moves to an earlier second only") {
    wheel clock;
    entry one(1);
    clock.schedule(one, 10);
    clock.schedule_by(one, 20);
    CHECK(due_at(clock, 9).empty());
    clock.schedule_by(one, 10);
    CHECK(due_at(clock, 10) == std::vector<int>{1});
    clock.schedule_by(one, 12);
    CHECK(due_at(clock, 12) == std::vector<int>{1});
}

TEST_CASE("who is reminded may ask again, and may destroy others that are due") {
    wheel clock;
    auto first = std::make_unique<entry>(1), second = std::make_unique<entry>(2),
         third = std::make_unique<entry>(3);
    for (auto* one : {first.get(), second.get(), third.get()})
        clock.schedule(*one, 5);
    std::vector<int> seen;
    clock.advance(5, [&](wheel_entry& one) {
        seen.push_back(static_cast<entry&>(one).number);
        if (&one == first.get()) {
            clock.schedule(one, 5); // has passed: the next second
            second.reset();
        } else {
            third.reset(); // itself
        }
    });
    CHECK(seen == std::vector<int>{1, 3});
    CHECK(due_at(clock, 6) == std::vector<int>{1});
    std::size_t left = 0;
    clock.for_each([&](wheel_entry&) { ++left; });
    CHECK(left == 0);
}
