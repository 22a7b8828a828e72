// RabbitMQ as a broker: what open_broker() gives for amqp:// and amqps://.
//
// What this adds to the contract of broker.hpp:
//   two connections to one server: one publishes, one receives and acknowledges, since RabbitMQ stops reading from a
//     connection that publishes while it is short of memory or disk. Until that is over publishes wait, status() says
//     so, and deliveries go on;
//   publishes that were not confirmed when the connection was lost are sent again, with the same id, until their
//     timeout: a job may arrive twice, as the contract of jobs allows, and none is lost. A publish that is told
//     errc::unavailable may have arrived all the same. So may one that a full queue refused in a quorum queue;
//   the prefetch is RabbitMQ's limit for each consumer, that is for each queue; 0 means that nothing is delivered;
//   publish_at() and delay() use the delayed delivery of Celery 5.5 (whole seconds, rounded up; at most 2^28 - 1 of
// them
//     at once). The property `expiration` is left out then, since it would cut the delay short: the header `expires`
//     stays and the worker looks at it. Should delay() fail, the delivery goes back to its queue a second later;
//   touch() does nothing: RabbitMQ keeps what is not acknowledged for as long as the connection lives;
//   depths() tells 0 messages and 0 consumers of a queue that does not exist.
// The destructor takes at most a second.
#pragma once

#include <memory>

#include "jobs/broker/broker.hpp"

namespace carillon::jobs {

// As open_broker(), which calls this for its schemes.
result<std::unique_ptr<broker>> open_amqp_broker(const broker_options& options, logger& log,
                                                 metrics& counted);

} // namespace carillon::jobs
