// A node for the tests of the Redis layers: shards without sockets, their groups and channels, and a layer over them.
#pragma once

#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "channels/hub.hpp"
#include "channels/mailboxes.hpp"
#include "channels/redis/redis_layer.hpp"
#include "net/redis/client.hpp"
#include "net/redis/test_redis.hpp"

namespace carillon::channels::redis::test {

using net::redis::test::no_redis;
using net::redis::test::server;

inline steady_time soon() { return now() + std::chrono::seconds(20); }

// Becomes true or runs into a deadline. For what no event tells: what another process has in Redis.
template <class F>
bool within(std::chrono::milliseconds patience, F holds) {
    std::mutex guard;
    std::condition_variable never;
    std::unique_lock lock(guard);
    for (const auto deadline = now() + patience; now() < deadline;) {
        if (holds())
            return true;
        never.wait_for(lock, std::chrono::milliseconds(5));
    }
    return holds();
}
template <class F>
bool eventually(F holds) {
    return within(std::chrono::seconds(20), std::move(holds));
}

// Remembers what is logged.
class remembering_log final : public logger {
public:
    bool enabled(log_level) const noexcept override { return true; }
    void write(log_level, std::string_view message, std::initializer_list<log_field>) override {
        std::lock_guard lock(guard_);
        ++lines_[std::string(message)];
    }
    int lines(const std::string& message) {
        std::lock_guard lock(guard_);
        return lines_[message];
    }

private:
    std::mutex guard_;
    std::map<std::string, int> lines_;
};

// A consumer without a socket. Read by any thread.
class listener final : public subscriber {
public:
    void on_event(const event& e, const std::shared_ptr<void>&) noexcept override {
        {
            std::lock_guard lock(guard_);
            if (e.type() == gap_event_type)
                ++gaps_;
            else
                heard_.push_back(e);
        }
        came_.notify_all();
    }
    // False when not so many come in time.
    bool wait(std::size_t count) {
        std::unique_lock lock(guard_);
        return came_.wait_until(lock, soon(), [&] { return heard_.size() >= count; });
    }
    bool wait_gaps(std::size_t count) {
        std::unique_lock lock(guard_);
        return came_.wait_until(lock, soon(), [&] { return gaps_ >= count; });
    }
    std::vector<event> heard() {
        std::lock_guard lock(guard_);
        return heard_;
    }
    std::size_t count() {
        std::lock_guard lock(guard_);
        return heard_.size();
    }
    std::size_t gaps() {
        std::lock_guard lock(guard_);
        return gaps_;
    }

    std::string channel; // as long as it has joined the node
    net::shard* home = nullptr;

private:
    std::mutex guard_;
    std::condition_variable came_;
    std::vector<event> heard_;
    std::size_t gaps_ = 0;
};

class node {
public:
    node(const std::string& urls, const redis_layer_options& options = {},
         std::uint32_t shard_count = 2)
        : members(counted), boxes(named(options, urls).common, counted) {
        std::vector<net::shard*> all;
        for (std::uint32_t i = 0; i < shard_count; ++i) {
            shards.push_back(std::make_unique<net::shard>(i, environment));
            all.push_back(shards.back().get());
        }
        members.attach(all);
        layer = redis_layer::make(named(options, urls), &members, &boxes, log, counted).value();
        for (auto& one : shards)
            threads.emplace_back([&one] { one->run(); });
        layer->start();
    }
    ~node() { end(); }
    void end() {
        layer->stop();
        for (auto& one : shards)
            one->events().stop();
        for (auto& one : threads)
            if (one.joinable())
                one.join();
    }

    static redis_layer_options named(redis_layer_options options, const std::string& urls) {
        options.servers = net::redis::parse_addresses(urls).value();
        options.common.pubsub_names = options.servers.pubsub;
        return options;
    }
    // Runs `work` on a shard and waits for its end.
    template <class F>
    void on(net::shard& home, F work) {
        const auto done = std::make_shared<std::promise<void>>();
        home.events().post([&work, &home, done] {
            work(home);
            done->set_value();
        });
        done->get_future().wait();
    }
    // What was posted to the shards so far has run.
    void settle() {
        for (auto& one : shards)
            on(*one, [](net::shard&) {});
    }
    bool connected() {
        return eventually([&] { return layer->status().has_value(); });
    }

    // Opens the listener's channel.
    void open(listener& who, std::uint32_t shard = 0) {
        who.home = shards[shard].get();
        on(*who.home, [&](net::shard& home) { who.channel = boxes.open(home, who); });
    }
    // Opens its channel if it has none, joins, and waits until others reach it.
    bool join(listener& who, const std::string& group, std::uint32_t shard = 0) {
        if (!who.home)
            open(who, shard);
        on(*who.home, [&](net::shard&) { layer->group_add(group, who.channel).value(); });
        auto held = std::make_shared<std::promise<void>>();
        auto reached = held->get_future();
        return layer->reaches_members(group, [held] { held->set_value(); }) ||
               reached.wait_until(soon()) == std::future_status::ready;
    }
    void leave(listener& who, const std::string& group) {
        on(*who.home, [&](net::shard&) { layer->group_discard(group, who.channel).value(); });
    }
    // As a consumer that is gone.
    void close(listener& who) {
        on(*who.home, [&](net::shard& home) {
            members.leave_all(home, who);
            boxes.close(who.channel);
        });
        who.home = nullptr;
    }
    std::int64_t metric(std::string_view name, std::string_view reason = {}) const {
        for (const auto& sample : counted.read())
            if (sample.name == name && (reason.empty() || sample.labels.at(0).second == reason))
                return static_cast<std::int64_t>(sample.value);
        return 0;
    }
    std::int64_t dropped(std::string_view reason) const {
        return metric("carillon_layer_dropped_total", reason);
    }

    metrics counted;
    remembering_log log;
    net::blocking_pool pool{1, 10, counted};
    net::environment environment{{}, silent_log(), counted, pool};
    hub members;
    mailboxes boxes;
    std::unique_ptr<redis_layer> layer;
    std::vector<std::unique_ptr<net::shard>> shards;
    std::vector<std::thread> threads;
};

// The outcome of a confirmed send.
inline result<delivery> confirmed(const std::function<void(delivery_told)>& send) {
    auto told = std::make_shared<std::promise<result<delivery>>>();
    auto outcome = told->get_future();
    send([told](const result<delivery>& end) { told->set_value(end); });
    if (outcome.wait_until(soon()) != std::future_status::ready)
        return failure{errc::timed_out, "nobody told"};
    return outcome.get();
}
inline result<delivery> group_send(channel_layer& layer, const std::string& group, const event& e) {
    return confirmed(
        [&](delivery_told told) { layer.group_send_confirmed(group, e, std::move(told)); });
}
inline result<delivery> send(channel_layer& layer, const std::string& channel, const event& e) {
    return confirmed(
        [&](delivery_told told) { layer.send_confirmed(channel, e, std::move(told)); });
}

// One command to the server, as another program would send it.
inline wire::redis::reply ask(const std::string& url,
                              std::initializer_list<std::string_view> words) {
    const auto where = net::redis::parse_addresses(url).value().hosts.front();
    return net::redis::ask(where, wire::redis::command(words), std::chrono::seconds(20)).value();
}
inline std::vector<std::string> texts(const wire::redis::reply& list) {
    std::vector<std::string> all;
    for (const auto& item : list.items)
        all.push_back(item.text);
    return all;
}

} // namespace carillon::channels::redis::test
