// layer_counters: what the Redis layers count, under one name for both.
#pragma once

#include <string>
#include <string_view>

#include "net/redis/client.hpp"
#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>

namespace carillon::channels::redis {

struct layer_counters {
    explicit layer_counters(metrics& counted);

    // carillon_layer_dropped_total by reason
    counter& capacity;    // a queue in Redis was full
    counter& undecodable; // from Redis: not decryptable, malformed, or of a reserved type
    counter& too_large;   // from Redis: above message_bytes_max
    counter& unavailable; // to Redis: it was away for too long, or too much waited already
    counter& unconfirmed; // to Redis: written, but the reply never came
    counter& no_receiver; // from Redis: for a channel or a group that nobody here has
    counter& backlog;     // from Redis: the shards had too many that they have not handled

    counter& received;  // carillon_layer_received_total: messages taken from Redis
    counter& waiting;   // carillon_layer_unconfirmed: accepted from senders, not yet confirmed
    counter& connected; // carillon_layer_connected: servers that can be used now
    counter& gaps;      // carillon_layer_gaps_total: outages that consumers were told of
    // carillon_layer_settles_total: outages after which events waited for other processes.
    counter& settles;
    net::redis::client_counters connections;
};

// A warning that may come very often: written at once, then at most once a second with how many there were.
// On one thread.
class seldom {
public:
    seldom(logger& log, std::string message) : log_(log), message_(std::move(message)) {}
    // `what` and `of` name the last case.
    void warn(std::string_view what, std::string_view of, std::int64_t cases = 1);

private:
    logger& log_;
    const std::string message_;
    std::int64_t cases_ = 0;
    steady_time quiet_until_{};
};

} // namespace carillon::channels::redis
