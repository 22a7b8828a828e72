// Redis as a broker: what open_broker() gives for redis://, rediss://, unix:// and redis+sentinel://, on the keys of
// Celery's Redis transport. docs/protocols/celery-redis.md.
//
// What this adds to the contract of broker.hpp:
//   a publish whose answer was lost is sent again, and the server knows whether it has it: nothing is doubled. A
// publish
//     that is told errc::unavailable while the connection was lost may have arrived all the same;
//   after an outage what this process held is delivered to it again with new tags, marked as redelivered, unless ack()
//     was called with the void tag meanwhile: then it is acknowledged. Other workers do not get it, as long as this one
//     is back within its lease (15 s) and the visibility timeout;
//   the messages of a process that is silent for longer than the lease go to others, also those that it touched;
//   publish_at() and delay() keep a message in a sorted set; any Carillon process with this broker moves it to its
// queue;
//   the prefetch is one for all queues together;
//   emit() to the default exchange, where results of rpc:// go, waits while Redis is away: up to 10,000 and 16 MiB;
//   emit() to `reply.…` exchanges reaches the queues that are bound, to the default exchange the queue of that name, to
//     any other exchange all who subscribe to its channel;
//   depths() tells neither delayed messages nor consumers.
// The destructor sends the last results, for at most one second, and gives back what was not acknowledged, for three.
#pragma once

#include <memory>

#include "jobs/broker/broker.hpp"
#include "net/redis/address.hpp"

namespace carillon::jobs {

// As open_broker(), which calls this for its schemes.
result<std::unique_ptr<broker>> open_redis_broker(const broker_options& options, logger& log,
                                                  metrics& counted);

namespace redis {
// One server, not several. errc::invalid says what is wrong with the URL, without its password.
result<net::redis::address> one_server(std::string_view url);
} // namespace redis

} // namespace carillon::jobs
