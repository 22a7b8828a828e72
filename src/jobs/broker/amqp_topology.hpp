// What Celery declares in RabbitMQ, as steps: task queues, remote control, replies, events, delayed delivery.
// docs/protocols/celery-amqp.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/broker/amqp_declarer.hpp"

namespace carillon::jobs::amqp {

struct queue_shape {
    std::optional<int> priority_max; // x-max-priority; quorum queues have none
    bool quorum = false;
};

// The queue, the direct exchange of its name and their binding. Only the queue is needed: publishing goes through the
// default exchange.
std::vector<step> task_queue_steps(const std::string& queue, const queue_shape& shape);

// celeryev, celery.pidbox, reply.celery.pidbox.
std::vector<step> exchange_steps();
std::string control_queue_name(std::string_view node);
std::vector<step> control_steps(std::string_view node);
std::vector<step> reply_steps(const std::string& queue);

// Delayed delivery as kombu 5.5 lays it out: a queue for each bit of a delay in seconds, from celery_delayed_27 down,
// in which a message waits where its bit is 1; behind them the exchange celery_delayed_delivery.
inline constexpr std::chrono::seconds delay_max{(std::int64_t{1} << 28) - 1};
inline constexpr std::string_view delayed_entrance = "celery_delayed_27";
std::vector<step> delayed_delivery_steps(bool quorum);
// The queue's binding to celery_delayed_delivery. Its key is exact, 28 stars and the queue's name: kombu's "#.name"
// would also catch what is meant for a queue "x.name".
step delayed_binding_step(const std::string& queue);
// "0.0.….1.0.1.name" for five seconds. The delay is from 1 to delay_max.
std::string delayed_routing_key(std::chrono::seconds delay, std::string_view queue);

} // namespace carillon::jobs::amqp
