// What the parts of the Redis broker share: its connection for commands, the names of keys, and the envelope's ends.
#pragma once

#include <string>
#include <string_view>

#include "jobs/broker/broker.hpp"
#include "jobs/broker/redis_scripts.hpp"
#include "net/redis/client.hpp"
#include "wire/celery/envelope.hpp"

namespace carillon::jobs::redis {

// The transport's separator of names; Celery's option `sep`, which nobody changes.
inline constexpr std::string_view separator = "\x06\x16";

// How long a holder may be silent before its messages go to others. Three heartbeats may be missed.
inline constexpr std::chrono::seconds lease{15};
inline constexpr std::chrono::seconds heartbeat_interval{3};

// Names of keys. Those that only Carillon uses begin with "carillon:" after the prefix.
struct key_names {
    explicit key_names(const broker_options& options, std::uint32_t database);
    wire::celery::redis_names celery;
    std::string prefix;
    // A sorted set of messages by due time: the list's key, a line feed, the element.
    std::string delayed;
    std::string
        delayed_counts;  // a hash: how many of each list; the scripts make its name from the other
    std::string holders; // a sorted set: the brokers that live, by their last heartbeat
    std::string publishers; // a hash: the last batch of each broker
    std::string unreadable; // a list: entries of `unacked` that nobody can restore
    // What follows the queue's name in the key of the list for that priority.
    std::string suffix(std::int64_t priority) const;
};

// On the broker's thread, all of it.
struct context {
    net::loop& loop;
    net::redis::client& commands;
    scripts& lua;
    const key_names& keys;
    const broker_options& options;
    logger& log;
    const std::string& self; // this broker's own name among the holders: a UUID

    // The field of `unacked` for this broker's take of that number.
    std::string field(std::uint64_t number) const { return self + "." + std::to_string(number); }
};

// What `unacked` holds behind the element, for one that goes back to that queue.
std::string entry_end(std::string_view queue);

// A failure, or an error reply as one.
failure why_not(const result<wire::redis::reply>& answer);
// The server could not do it now, and may later: memory or disk full, a script that takes long, replicas missing.
bool may_pass(const wire::redis::reply& error) noexcept;

} // namespace carillon::jobs::redis
