#include <doctest/doctest.h>

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "channels/hub.hpp"

using namespace carillon;
using namespace carillon::channels;

namespace {

struct remembering_watcher final : group_watcher {
    void on_first_member(std::string_view group) override {
        seen.push_back("+" + std::string(group));
    }
    void on_last_member_left(std::string_view group) override {
        seen.push_back("-" + std::string(group));
    }
    std::vector<std::string> seen;
};

struct deaf final : subscriber {
    void on_event(const event&, const std::shared_ptr<void>&) noexcept override { ++heard; }
    int heard = 0;
};

struct two_shards {
    two_shards() {
        for (std::uint32_t i = 0; i < 2; ++i)
            shards.push_back(std::make_unique<net::shard>(i, environment));
        members.attach({shards[0].get(), shards[1].get()});
        members.watch(watcher);
        for (auto& one : shards)
            threads.emplace_back([&one] { one->run(); });
    }
    ~two_shards() {
        for (auto& one : shards)
            one->events().stop();
        for (auto& one : threads)
            one.join();
    }
    template <class F>
    void on(std::uint32_t index, F work) {
        std::promise<void> done;
        shards[index]->events().post([&] {
            work(*shards[index]);
            done.set_value();
        });
        done.get_future().wait();
    }

    metrics counted;
    net::blocking_pool pool{1, 10, counted};
    net::environment environment{{}, silent_log(), counted, pool};
    remembering_watcher watcher;
    hub members{counted};
    std::vector<std::unique_ptr<net::shard>> shards;
    std::vector<std::thread> threads;
};

} // namespace

TEST_CASE("a group is announced once for all shards, and given up with its last member") {
    two_shards there;
    deaf here, beyond;
    there.on(0, [&](net::shard& home) { there.members.join(home, "room", here); });
    there.on(1, [&](net::shard& home) { there.members.join(home, "room", beyond); });
    there.on(0, [&](net::shard& home) { there.members.leave(home, "room", here); });
    CHECK(there.watcher.seen == std::vector<std::string>{"+room"});
    there.on(1, [&](net::shard& home) { there.members.leave_all(home, beyond); });
    CHECK(there.watcher.seen == std::vector<std::string>{"+room", "-room"});
}

TEST_CASE("the credit of an event comes back when every shard has handled it") {
    two_shards there;
    deaf here, beyond;
    there.on(0, [&](net::shard& home) { there.members.join(home, "room", here); });
    there.on(1, [&](net::shard& home) { there.members.join(home, "room", beyond); });
    std::promise<void> back;
    CHECK(there.members.publish("room", event("news", {}),
                                std::shared_ptr<void>(nullptr, [&](void*) { back.set_value(); })));
    REQUIRE(back.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready);
    CHECK(here.heard + beyond.heard == 2);
    CHECK_FALSE(there.members.publish("empty", event("news", {})));
    there.on(0, [&](net::shard& home) { there.members.leave_all(home, here); });
    there.on(1, [&](net::shard& home) { there.members.leave_all(home, beyond); });
}
