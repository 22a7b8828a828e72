// A memory layer with the shards it needs, for tests.
#pragma once

#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "channels/memory_layer.hpp"

namespace carillon::channels::test {

// Two running shards without sockets, and a layer over them.
class two_shards {
public:
    explicit two_shards(channel_layer_options options = {})
        : members(counted), boxes(options, counted), layer(members, boxes) {
        for (std::uint32_t i = 0; i < 2; ++i)
            shards.push_back(std::make_unique<net::shard>(i, environment));
        members.attach({shards[0].get(), shards[1].get()});
        for (auto& one : shards)
            threads.emplace_back([&one] { one->run(); });
    }
    ~two_shards() {
        for (auto& one : shards)
            one->events().stop();
        for (auto& one : threads)
            one.join();
    }
    // Runs `work` on a shard and waits for its end.
    template <class F>
    void on(std::uint32_t index, F work) {
        std::promise<void> done;
        shards[index]->events().post([&] {
            work(*shards[index]);
            done.set_value();
        });
        done.get_future().wait();
    }
    std::int64_t dropped(const char* reason) {
        return counted
            .add(metric_kind::counter, "carillon_layer_dropped_total", "", {{"reason", reason}})
            .get();
    }

    metrics counted;
    net::blocking_pool pool{1, 10, counted};
    net::environment environment{{}, silent_log(), counted, pool};
    hub members;
    mailboxes boxes;
    memory_layer layer;
    std::vector<std::unique_ptr<net::shard>> shards;
    std::vector<std::thread> threads;
};

} // namespace carillon::channels::test
