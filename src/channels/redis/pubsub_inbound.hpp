// pubsub_inbound: what a message of a subscription means here, and to whom it goes.
#pragma once

#include <memory>
#include <string_view>

#include "channels/hub.hpp"
#include "channels/mailboxes.hpp"
#include "channels/redis/backlog.hpp"
#include "channels/redis/counters.hpp"
#include "channels/redis/named_channels.hpp"
#include "channels/redis/pubsub_names.hpp"
#include "wire/layer/message.hpp"

namespace carillon::channels::redis {

// On the I/O thread. What cannot be delivered is counted, logged at most once a second, and harms nobody.
class pubsub_inbound {
public:
    // `members` and `boxes` are null in a process without shards. All outlive it.
    pubsub_inbound(std::size_t bytes_max, const pubsub_names& names,
                   const wire::layer::message_codec& codec, hub* members, mailboxes* boxes,
                   named_channels& named, backlog& unhandled, logger& log, layer_counters& counted);

    void take(std::string_view topic, std::string_view payload);

private:
    void drop(counter& of, std::string_view what, std::string_view topic);
    bool publish(std::string_view group, const event& e, std::shared_ptr<void> share);
    bool deliver(std::string_view channel, const event& e);

    const std::size_t bytes_max_;
    const pubsub_names& names_;
    const wire::layer::message_codec& codec_;
    hub* const members_;
    mailboxes* const boxes_;
    named_channels& named_;
    backlog& unhandled_;
    layer_counters& counted_;
    seldom broken_, late_;
};

} // namespace carillon::channels::redis
