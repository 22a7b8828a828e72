// pubsub_sender: the way of an event to Redis in the pubsub layer: one PUBLISH, told once.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channels/redis/accounts.hpp"
#include "channels/redis/counters.hpp"
#include "channels/redis/host.hpp"
#include "channels/redis/registry.hpp"
#include <carillon/channels/channel_layer.hpp>

namespace carillon::channels::redis {

// An event on its way. Hears its end once, at the latest when it is destroyed.
class publication {
public:
    publication(std::string topic_, std::string payload_, accounts::ticket place,
                delivery_told told)
        : topic(std::move(topic_)), payload(std::move(payload_)), place_(std::move(place)),
          told_(std::move(told)) {}
    publication(const publication&) = delete;
    ~publication();

    // Only the first call counts.
    void end(const result<delivery>& how);

    const std::string topic, payload;
    std::size_t host = 0;
    steady_time expires = steady_time::max();

private:
    std::optional<accounts::ticket> place_;
    delivery_told told_;
};
using publication_ptr = std::shared_ptr<publication>;

// On the I/O thread. Events of one topic leave in the order of calls. An event for a topic that this process is about
// to hear waits until Redis has acknowledged the subscription, so that who joined before it was sent gets it.
class pubsub_sender {
public:
    // `heard` is null in a process that hears nothing. All outlive the sender.
    pubsub_sender(const std::vector<std::unique_ptr<host>>& on, registry* heard, accounts& book,
                  logger& log, layer_counters& counted);

    void send(publication_ptr what);
    // What waits for a subscription is told that the layer has stopped.
    void end();

private:
    void resume(const std::string& topic);
    bool reaches_us(const std::string& topic);
    void put(publication_ptr what);
    void settle(publication& what, const order_end& end);

    const std::vector<std::unique_ptr<host>>& hosts_;
    registry* const heard_;
    accounts& book_;
    layer_counters& counted_;
    seldom failed_;
    std::unordered_map<std::string, std::deque<publication_ptr>> held_; // by topic
};

} // namespace carillon::channels::redis
