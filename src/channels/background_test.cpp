#include <doctest/doctest.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "channels/test_layer.hpp"
#include <carillon/channels/background.hpp>

using namespace carillon;
using carillon::channels::test::two_shards;

namespace {

constexpr std::chrono::seconds patience{20};

// What the handlers of a test did, and what they wait for.
class journal {
public:
    void add(std::string line) {
        std::lock_guard lock(guard_);
        lines_.push_back(std::move(line));
        changed_.notify_all();
    }
    // The lines, as soon as there are that many; fewer when they do not come in time.
    std::vector<std::string> wait_for(std::size_t count) {
        std::unique_lock lock(guard_);
        changed_.wait_for(lock, patience, [&] { return lines_.size() >= count; });
        return lines_;
    }
    // Notes the line and returns when there are that many.
    void meet(std::string line, std::size_t count) {
        add(std::move(line));
        wait_for(count);
    }

private:
    std::mutex guard_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
};

class remembering_log final : public logger {
public:
    bool enabled(log_level level) const noexcept override { return level >= log_level::warning; }
    void write(log_level, std::string_view message,
               std::initializer_list<log_field> fields) override {
        std::string line(message.substr(0, message.find(':')));
        for (const auto& one : fields)
            line += ' ' + std::string(one.content.to_text());
        lines.add(line);
    }
    journal lines;
};

class thumbnails final : public background_consumer {
public:
    explicit thumbnails(journal& heard) : heard_(heard) { heard_.add("made"); }
    ~thumbnails() override { heard_.add("gone"); }
    static background_handlers events() {
        return {on_background("image.resize", &thumbnails::resize),
                on_background("image.hold", &thumbnails::hold),
                on_background("image.answer", &thumbnails::answer),
                on_background("websocket_close", &thumbnails::resize)};
    }
    void resize(const event& e) {
        const auto what = std::string(e["what"].to_text());
        if (what == "broken")
            throw error(errc::corrupt, "no image");
        if (what == "odd")
            throw 7;
        heard_.add(what);
    }
    void hold(const event& e) {
        heard_.meet("held", static_cast<std::size_t>(e["until"].to_int()));
    }
    void answer(const event& e) {
        layer().send(e["to"].to_text(), event("done", {{"by", channel()}})).value();
    }

private:
    journal& heard_;
};

event resize(std::string_view what) { return event("image.resize", {{"what", what}}); }

struct workshop : two_shards {
    explicit workshop(std::uint32_t readers = 1)
        : table{background<thumbnails>("thumbnails", std::ref(heard))},
          workers(background_workers::start(table, readers, layer, log, counted).value()) {}

    std::int64_t counted_as(const char* name) {
        return counted
            .add(metric_kind::counter, std::string("carillon_background_") + name + "_total", "",
                 {{"channel", "thumbnails"}})
            .get();
    }
    journal heard;
    remembering_log log;
    background_routes table;
    std::unique_ptr<background_workers> workers;
};

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("a background consumer handles the events of its channel in their order, as one object") {
    workshop house;
    lines expected{"made"};
    for (int i = 0; i < 50; ++i) {
        expected.push_back(std::to_string(i));
        CHECK(house.layer.send("thumbnails", resize(expected.back())));
    }
    CHECK(house.heard.wait_for(51) == expected);
    CHECK(house.workers->stop(now() + patience));
    CHECK(house.heard.wait_for(52).back() == "gone");
    CHECK(house.counted_as("handled") == 50);
}

TEST_CASE("it hears groups that hold its channel, and answers through the layer") {
    workshop house;
    auto answers = house.layer.receive_from("answers").value();
    CHECK(house.layer.group_add("workers", "thumbnails"));
    CHECK(house.layer.group_send("workers", event("image.answer", {{"to", "answers"}})));
    const auto got = answers->receive(now() + patience);
    REQUIRE(got);
    CHECK((*got)["by"].to_text() == "thumbnails");
}

TEST_CASE("after an exception the next event is handled by a new object") {
    workshop house;
    for (const auto* what : {"first", "broken", "second", "odd", "third"})
        CHECK(house.layer.send("thumbnails", resize(what)));
    CHECK(house.heard.wait_for(8) ==
          lines{"made", "first", "gone", "made", "second", "gone", "made", "third"});
    CHECK(house.workers->stop(now() + patience));
    CHECK(house.log.lines.wait_for(2) ==
          lines{"a background consumer failed thumbnails image.resize no image",
                "a background consumer failed thumbnails image.resize an exception that is no "
                "std::exception"});
    CHECK(house.counted_as("handled") == 3);
    CHECK(house.counted_as("failed") == 2);
}

TEST_CASE("an event of an unknown type is counted, logged once a second and makes no object") {
    workshop house;
    for (int i = 0; i < 20; ++i)
        CHECK(house.layer.send("thumbnails", event("image.rotate", {})));
    CHECK(house.layer.send("thumbnails", resize("known")));
    CHECK(house.heard.wait_for(2) == lines{"made", "known"});
    CHECK(house.counted_as("unhandled") == 20);
    const auto said = house.log.lines.wait_for(1);
    CHECK(said.size() < 20); // twenty lines would take twenty seconds
    CHECK(said.front() == "event dropped thumbnails image.rotate ");
}

namespace {

// Another program may put anything into a channel of a shared server.
class careless_layer final : public channel_layer {
public:
    explicit careless_layer(channel_layer& real) : real_(real) {}
    result<void> group_send(std::string_view, event) override { return {}; }
    result<void> send(std::string_view channel, event e) override {
        return real_.send(channel, event("wrapped", {{"type", e.type()}, {"what", e["what"]}}));
    }
    result<void> group_add(std::string_view, std::string_view) override { return {}; }
    result<void> group_discard(std::string_view, std::string_view) override { return {}; }
    result<std::unique_ptr<channel_source>> receive_from(std::string_view channel) override {
        return std::unique_ptr<channel_source>(
            std::make_unique<unwrapping>(real_.receive_from(channel).value()));
    }

private:
    struct unwrapping final : channel_source {
        explicit unwrapping(std::unique_ptr<channel_source> from) : from_(std::move(from)) {}
        std::optional<event> receive(steady_time deadline) override {
            const auto got = from_->receive(deadline);
            if (!got)
                return {};
            return event(std::string((*got)["type"].to_text()), {{"what", (*got)["what"]}});
        }
        void interrupt() override { from_->interrupt(); }
        std::unique_ptr<channel_source> from_;
    };
    channel_layer& real_;
};

} // namespace

TEST_CASE("reserved event types have no handler, whatever their handler would be called") {
    two_shards house;
    careless_layer outside(house.layer);
    journal heard;
    remembering_log log;
    const background_routes table{background<thumbnails>("thumbnails", std::ref(heard))};
    const auto workers = background_workers::start(table, 1, outside, log, house.counted).value();
    for (const auto* type : {"websocket.close", "_private", "image.resize"})
        CHECK(outside.send("thumbnails", event(type, {{"what", type}})));
    CHECK(heard.wait_for(2) == lines{"made", "image.resize"});
    CHECK(workers->stop(now() + patience));
    CHECK(log.lines.wait_for(1).front() == "event dropped thumbnails websocket.close ");
}

TEST_CASE("two threads handle two events of one channel at the same time, each with its object") {
    workshop house(2);
    for (int i = 0; i < 2; ++i) // each handler ends when both have begun
        CHECK(house.layer.send("thumbnails", event("image.hold", {{"until", 4}})));
    const auto heard = house.heard.wait_for(4);
    CHECK(std::count(heard.begin(), heard.end(), "made") == 2);
    CHECK(std::count(heard.begin(), heard.end(), "held") == 2);
    CHECK(house.workers->stop(now() + patience));
    CHECK(house.counted_as("handled") == 2);
}

TEST_CASE("to stop waits for the running handler until the deadline, and takes nothing more") {
    workshop house;
    CHECK(house.layer.send("thumbnails", event("image.hold", {{"until", 3}})));
    CHECK(house.heard.wait_for(2) == lines{"made", "held"});
    CHECK(house.layer.send("thumbnails", resize("left behind")));
    CHECK_FALSE(house.workers->stop(now() + std::chrono::milliseconds(10)));
    house.heard.add("go on");
    CHECK(house.workers->stop(now() + patience));
    CHECK(house.workers->stop(now())); // the second time, nothing is left to do
    house.workers.reset();
    CHECK(house.heard.wait_for(4) == lines{"made", "held", "go on", "gone"});
    CHECK((*house.boxes.by_hand().take("thumbnails"))["what"].to_text() == "left behind");
}

TEST_CASE("the workers' end waits for a handler that outlived the deadline") {
    workshop house;
    CHECK(house.layer.send("thumbnails", event("image.hold", {{"until", 3}})));
    CHECK(house.heard.wait_for(2) == lines{"made", "held"});
    CHECK_FALSE(house.workers->stop(now()));
    auto ended = std::async(std::launch::async, [&] { house.workers.reset(); });
    house.heard.add("go on");
    CHECK(ended.wait_for(patience) == std::future_status::ready);
    CHECK(house.heard.wait_for(4).back() == "gone");
}

TEST_CASE("tables that cannot be served are refused") {
    two_shards house;
    journal heard;
    const auto refused = [&](background_routes table, std::uint32_t threads) {
        return background_workers::start(table, threads, house.layer, silent_log(), house.counted)
            .error()
            .code;
    };
    const auto good = background<thumbnails>("thumbnails", std::ref(heard));
    CHECK(refused({good, good}, 1) == errc::invalid);
    CHECK(refused({background<thumbnails>("specific.1!2", std::ref(heard))}, 1) == errc::invalid);
    CHECK(refused({background<thumbnails>("two words", std::ref(heard))}, 1) == errc::invalid);
    CHECK(refused({good}, 0) == errc::invalid);
    struct deaf_layer final : channel_layer {
        result<void> group_send(std::string_view, event) override { return {}; }
        result<void> send(std::string_view, event) override { return {}; }
        result<void> group_add(std::string_view, std::string_view) override { return {}; }
        result<void> group_discard(std::string_view, std::string_view) override { return {}; }
    } deaf;
    const auto unread = background_workers::start({good}, 1, deaf, silent_log(), house.counted);
    CHECK(unread.error().code == errc::unavailable);
}
