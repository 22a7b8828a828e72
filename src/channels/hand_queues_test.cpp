#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "channels/hand_queues.hpp"

using namespace carillon;
using namespace carillon::channels;

namespace {

constexpr std::chrono::seconds patience{20};

struct queues {
    explicit queues(std::uint32_t capacity = 100)
        : options{.capacity = capacity}, named(options, counted) {}
    channel_layer_options options;
    metrics counted;
    hand_queues named;
};

event numbered(std::int64_t number) { return event("job", {{"number", number}}); }

std::future<std::optional<event>> receiving(channel_source& from, steady_time deadline) {
    return std::async(std::launch::async, [&from, deadline] { return from.receive(deadline); });
}

} // namespace

TEST_CASE("a reader that waits gets the event as soon as it is sent") {
    queues house;
    const auto reader = house.named.reader("queue");
    auto received = receiving(*reader, now() + patience);
    while (house.named.size() == 0) // until it waits
        std::this_thread::yield();
    CHECK(house.named.put("queue", numbered(1)));
    const auto got = received.get();
    REQUIRE(got);
    CHECK((*got)["number"].to_int() == 1);
    CHECK(house.named.size() == 0);
}

TEST_CASE("a reader without events returns at its deadline, and leaves nothing behind") {
    queues house;
    const auto reader = house.named.reader("queue");
    const auto begun = now();
    CHECK_FALSE(reader->receive(begun + std::chrono::milliseconds(20)));
    CHECK(now() - begun >= std::chrono::milliseconds(20));
    CHECK(house.named.size() == 0);
}

TEST_CASE("an interrupted reader takes nothing any more, and what it left is another's") {
    queues house;
    const auto first = house.named.reader("queue");
    const auto second = house.named.reader("queue");
    auto waiting = receiving(*first, now() + patience);
    while (house.named.size() == 0)
        std::this_thread::yield();
    first->interrupt();
    CHECK_FALSE(waiting.get());
    CHECK(house.named.put("queue", numbered(1)));
    CHECK_FALSE(first->receive(now() + patience));
    CHECK((*second->receive(now()))["number"].to_int() == 1);
}

// The wake-up of an event may meet a reader that is interrupted at the same moment.
TEST_CASE("no event is lost or late when a reader is interrupted and destroyed while it waits") {
    queues house;
    const auto staying = house.named.reader("queue");
    for (int round = 0; round < 300; ++round) {
        auto leaving = house.named.reader("queue");
        auto left = receiving(*leaving, now() + patience);
        auto stayed = receiving(*staying, now() + patience);
        std::thread ending([&] { leaving->interrupt(); });
        CHECK(house.named.put("queue", numbered(round)));
        auto got = left.get();
        ending.join();
        leaving.reset();
        if (got)
            CHECK(house.named.put("queue", numbered(round)));
        got = stayed.get();
        REQUIRE(got);
        REQUIRE((*got)["number"].to_int() == round);
    }
    CHECK(house.named.size() == 0);
}

TEST_CASE("readers of one channel compete: every event goes to exactly one, in order") {
    constexpr int readers = 3, events = 600;
    queues house(events);
    std::vector<std::unique_ptr<channel_source>> sources;
    std::vector<std::future<std::vector<std::int64_t>>> heard;
    std::atomic<int> taken = 0;
    std::promise<void> all_taken;
    for (int i = 0; i < readers; ++i) {
        sources.push_back(house.named.reader("queue"));
        heard.push_back(std::async(std::launch::async, [&, &from = *sources.back()] {
            std::vector<std::int64_t> numbers;
            while (const auto got = from.receive(now() + patience)) {
                numbers.push_back((*got)["number"].to_int());
                if (++taken == events)
                    all_taken.set_value();
            }
            return numbers;
        }));
    }
    for (int i = 0; i < events; ++i)
        CHECK(house.named.put("queue", numbered(i)));
    CHECK(all_taken.get_future().wait_for(patience) == std::future_status::ready);
    for (auto& one : sources)
        one->interrupt();
    std::vector<int> times(events, 0);
    for (auto& one : heard) {
        std::int64_t last = -1;
        for (const auto number : one.get()) {
            CHECK(number > last);
            last = number;
            ++times[static_cast<std::size_t>(number)];
        }
    }
    CHECK(times == std::vector<int>(events, 1));
}

TEST_CASE("a channel with a waiting reader is not swept away") {
    queues house;
    const auto reader = house.named.reader("queue");
    auto received = receiving(*reader, now() + patience);
    while (house.named.size() == 0)
        std::this_thread::yield();
    for (int i = 0; i < 200; ++i)
        CHECK(house.named.put("other-" + std::to_string(i), numbered(i)));
    CHECK(house.named.put("queue", numbered(1)));
    CHECK(received.get());
}
