// named_channels: the hand-named channels that this process reads in the pubsub layer, each with what waits in it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include <carillon/base/metrics.hpp>
#include <carillon/channels/channel_source.hpp>

namespace carillon::channels::redis {

// Thread-safe. Outlives its sources. All sources of one channel take from one queue.
class named_channels {
public:
    using watcher = std::function<void(std::string_view channel)>;
    // A queue holds `capacity` events; more are dropped, the newest first, and counted in `full`. `opened` and `closed`
    // hear of a channel's first and last source, in order, under a lock.
    named_channels(std::uint32_t capacity, counter& full, watcher opened, watcher closed);
    ~named_channels();

    std::unique_ptr<channel_source> open(std::string_view channel);
    // False when nobody here reads it.
    bool push(std::string_view channel, const event& e);
    bool is_open(std::string_view channel) const;
    // Ends every receive(), now and later.
    void end();

private:
    struct queue;
    class source;
    void leave(const std::string& channel);
    std::shared_ptr<queue> find(std::string_view channel) const;

    const std::uint32_t capacity_;
    counter& full_;
    const watcher opened_, closed_;
    mutable std::mutex guard_;
    bool ended_ = false;
    std::unordered_map<std::string, std::shared_ptr<queue>> queues_;
};

} // namespace carillon::channels::redis
