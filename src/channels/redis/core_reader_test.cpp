// How events that come in groups are handed on. The server is no Redis: it gives what a test wants, when it wants.
#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "channels/redis/core_reader.hpp"
#include "net/redis/test_fake.hpp"

using namespace carillon;
using namespace carillon::channels::redis;
using net::redis::test::fake_server;

namespace {

constexpr int group =
    100; // large enough for the reader to know how many consumers an event goes to

std::string bulk(const std::string& text) {
    return fmt::format("${}\r\n{}\r\n", text.size(), text);
}
std::string message(int number) { return bulk(std::to_string(number)) + bulk("1"); }
std::string waited_for(int number) { return "*3\r\n" + bulk("queue") + message(number); }

// The first wait ends with message 0, and messages 1 to 99 are behind it. The next one ends with message 100 at once.
// `then` answers what comes after.
class source {
public:
    explicit source(std::function<std::string()> then) : then_(std::move(then)) {}
    std::string operator()(const std::string& received) {
        if (received.find("SETNAME") != std::string::npos)
            return "+OK\r\n+PONG\r\n";
        switch (asked_++) {
        case 0: return waited_for(0);
        case 1: return behind() + waited_for(group);
        case 2: return then_();
        default: return {};
        }
    }

private:
    static std::string behind() {
        auto made = fmt::format("*{}\r\n", 2 * (group - 1));
        for (int number = 1; number < group; ++number)
            made += message(number);
        return made;
    }
    const std::function<std::string()> then_;
    int asked_ = 0;
};

// A reader on the test's own thread. Each event goes to `reach` consumers.
struct reading {
    reading(fake_server& from, std::int64_t reach) : reach_(reach) {
        const auto where = net::redis::parse_addresses(from.url()).value().hosts.front();
        core_reader::handlers tell;
        tell.take = [this](std::string_view what, const std::shared_ptr<void>&) {
            taken.push_back(std::stoi(std::string(what)));
            turns.push_back(events.turn_time());
            if (taken.size() == enough)
                events.stop();
        };
        tell.delivered = [this] { return reach_ * static_cast<std::int64_t>(taken.size()); };
        tell.up = [this] { reader->read(); };
        tell.lost = [] {};
        reader = std::make_unique<core_reader>(events, where, "queue", allowance, std::move(tell),
                                               silent_log(), counters);
        reader->start();
    }
    bool all_in_order() const {
        for (std::size_t i = 0; i < taken.size(); ++i)
            if (taken[i] != static_cast<int>(i))
                return false;
        return true;
    }

    net::loop events;
    metrics counted;
    layer_counters counters{counted};
    counter gauge;
    credits allowance{1'000, [] {}, gauge};
    std::size_t enough = SIZE_MAX;
    std::vector<int> taken;
    std::vector<steady_time> turns;
    std::unique_ptr<core_reader> reader;

private:
    const std::int64_t reach_;
};

} // namespace

TEST_CASE("an event alone is taken at once; where many came together for many consumers, the first "
          "of the next group waits for the others") {
    fake_server from(source([] { return "*2\r\n" + message(group + 1); }));
    reading tested(from, 1'000);
    tested.enough = group + 2;
    tested.events.run();
    CHECK(tested.all_in_order());
    REQUIRE(tested.turns.size() == group + 2);
    CHECK(tested.turns[0] < tested.turns[1]);
    CHECK(tested.turns[1] == tested.turns[group - 1]);
    CHECK(tested.turns[group - 1] < tested.turns[group]);
    CHECK(tested.turns[group] == tested.turns[group + 1]);
}

TEST_CASE("where an event goes to few consumers none waits for those behind it") {
    fake_server from(source([] { return "*2\r\n" + message(group + 1); }));
    reading tested(from, 10);
    tested.enough = group + 2;
    tested.events.run();
    CHECK(tested.all_in_order());
    REQUIRE(tested.turns.size() == group + 2);
    CHECK(tested.turns[group] < tested.turns[group + 1]);
}

TEST_CASE("an event that waits for others is taken when the reader ends") {
    std::atomic<reading*> of{nullptr};
    std::promise<void> posted;
    fake_server from(source([&of, &posted] {
        of.load()->events.post([tested = of.load()] {
            CHECK(tested->taken.size() == group);
            tested->reader.reset();
            tested->events.stop();
        });
        posted.set_value();
        return std::string();
    }));
    reading tested(from, 1'000);
    of = &tested;
    tested.events.run();
    posted.get_future().wait(); // the server's thread has let go of the loop
    CHECK(tested.all_in_order());
    CHECK(tested.taken.size() == group + 1);
}

TEST_CASE("an event that waits for others is taken when the connection is lost") {
    fake_server from(source([] { return std::string("not a reply\r\n"); }));
    reading tested(from, 1'000);
    tested.enough = group + 1;
    tested.events.run();
    CHECK(tested.all_in_order());
    CHECK(tested.taken.size() == group + 1);
}
