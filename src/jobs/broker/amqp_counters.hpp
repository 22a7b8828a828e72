// What the broker towards RabbitMQ counts.
#pragma once

#include <carillon/base/metrics.hpp>

namespace carillon::jobs::amqp {

struct counters {
    explicit counters(metrics& counted)
        : published(counted.add(metric_kind::counter, "carillon_amqp_published_total",
                                "Job messages sent to RabbitMQ, repetitions included")),
          confirmed(counted.add(metric_kind::counter, "carillon_amqp_confirmed_total",
                                "Job messages that RabbitMQ confirmed")),
          repeated(counted.add(metric_kind::counter, "carillon_amqp_repeated_total",
                               "Job messages sent again because their confirmation was lost")),
          failed(counted.add(metric_kind::counter, "carillon_amqp_failed_total",
                             "Job messages that were refused, not confirmed in time or given up")),
          received(counted.add(metric_kind::counter, "carillon_amqp_received_total",
                               "Job messages received from RabbitMQ")),
          settled(counted.add(metric_kind::counter, "carillon_amqp_settled_total",
                              "Received job messages that were acknowledged or rejected")),
          dropped(
              counted.add(metric_kind::counter, "carillon_amqp_dropped_total",
                          "Events and control requests lost while RabbitMQ was away, and replies "
                          "above the number that is kept")),
          losses(counted.add(metric_kind::counter, "carillon_amqp_connection_losses_total",
                             "Times that RabbitMQ was connected and lost")),
          pending(counted.add(metric_kind::gauge, "carillon_amqp_unconfirmed",
                              "Job messages that wait for RabbitMQ or for its confirmation")) {}
    counter &published, &confirmed, &repeated, &failed, &received, &settled, &dropped, &losses;
    counter& pending;
};

} // namespace carillon::jobs::amqp
