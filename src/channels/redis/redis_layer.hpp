// redis_layer: the channel layers that several processes share through Redis, with the wire of channels_redis.core and
// of channels_redis.pubsub. What both have in common for whoever runs them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "channels/hub.hpp"
#include "channels/mailboxes.hpp"
#include "net/redis/address.hpp"
#include "wire/layer/message.hpp"
#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/channels/channel_layer.hpp>

namespace carillon::channels {

// `pattern` is a shell glob over the whole channel name (fnmatch(3), no flags), as Channels' channel_capacity.
struct capacity_rule {
    std::string pattern;
    std::uint32_t capacity = 0;
};

struct redis_layer_options {
    channel_layer_options common; // prefix, capacity, expiry, group_expiry
    net::redis::addresses servers;
    wire::layer::codec_options codec; // prefix bytes and age are set by the layer's wire
    // Core only: the first rule that matches a channel's name says how many messages may wait in its queue; then
    // node_capacity for the groups of a Carillon node, which empties its queue at once; then common.capacity.
    std::vector<capacity_rule> capacities;
    std::uint32_t node_capacity = 10'000;

    // Events that this process sends wait so long while a server is away. Then they are dropped, counted and logged
    // once, and sending fails at once until it is back.
    std::chrono::milliseconds send_timeout{5'000};
    // When a server comes back without what it knew, events of this process wait so long for the other ones, which put
    // back what they had there, but at most half of send_timeout; it is part of send_timeout. Pubsub: also when only
    // subscriptions were cut, then less after a short outage. Zero: not at all, and what is sent first may not reach
    // the members at other processes.
    std::chrono::milliseconds settle_time{1'000};
    // Accepted and not yet confirmed by Redis. Above: errc::unavailable for the sender.
    std::uint32_t unconfirmed_events_max = 20'000;
    std::size_t unconfirmed_bytes_max = 64u << 20;
    // Events taken from Redis that the shards have not handed to their consumers yet. Above: core does not read on (the
    // sender's capacity decides), pubsub drops the newest and counts it.
    // A large event counts once more for each undelivered_unit_bytes of its message.
    std::uint32_t undelivered_events_max = 10'000;
    static constexpr std::size_t undelivered_unit_bytes = 16 * 1024;
    // A larger message from Redis is dropped and counted.
    std::size_t message_bytes_max = 16u << 20;
};

// Thread-safe as every channel layer. Owns one thread that talks to Redis. While a server is away sockets stay open;
// when it is back, memberships are restored before anything is read or sent, and consumers hear gap_event_type.
class redis_layer : public channel_layer {
public:
    // `members` and `boxes` are null in a process that only sends (a worker, a command); they, `log` and `counted`
    // outlive the layer. Connects to nothing yet. errc::invalid for options that contradict each other.
    static result<std::unique_ptr<redis_layer>> make(redis_layer_options options, hub* members,
                                                     mailboxes* boxes, logger& log,
                                                     metrics& counted);

    // Connects, and goes on trying. After hub::attach().
    virtual void start() = 0;
    // Waits until Redis has confirmed what was sent so far. False at the deadline, or when something was given up since
    // the last call (the server was away for too long, refused it, or never confirmed it); a full queue is no loss.
    virtual bool flush(steady_time deadline) = 0;
    // Gives up memberships and the process' own queue, waits at most `patience` for that, and ends the thread. Nothing
    // is delivered and no callback runs after the return. The shards still exist when it is called; not from a
    // callback. The second call does nothing; the destructor calls it.
    virtual void stop(std::chrono::milliseconds patience = std::chrono::seconds(1)) = 0;
};

} // namespace carillon::channels
