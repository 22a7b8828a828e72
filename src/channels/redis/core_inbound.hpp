// core_inbound: what a message from Redis means here, and to whom it goes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "channels/hub.hpp"
#include "channels/mailboxes.hpp"
#include "channels/redis/core_membership.hpp"
#include "channels/redis/core_names.hpp"
#include "channels/redis/counters.hpp"
#include "wire/layer/message.hpp"

namespace carillon::channels::redis {

// On the I/O thread. What cannot be delivered is counted, logged at most once a second, and harms nobody.
class core_inbound {
public:
    core_inbound(const redis_layer_options& options, const core_names& names,
                 const wire::layer::message_codec& codec, const core_membership& groups,
                 hub& members, mailboxes& boxes, logger& log, layer_counters& counted);

    // `credit` ends when all shards have handled the event.
    void take(std::string_view message, const std::shared_ptr<void>& credit);

private:
    // The group of which this name is our entry; empty for others.
    std::string_view group_of(std::string_view channel) const noexcept;
    void deliver(const wire::layer::decoded_message& message, const event& e,
                 const std::shared_ptr<void>& credit);
    bool deliver_to_one(const std::string& channel, const std::vector<std::string>& groups,
                        const event& e, const std::shared_ptr<void>& credit);

    const redis_layer_options& options_;
    const core_names& names_;
    const wire::layer::message_codec& codec_;
    const core_membership& groups_;
    hub& members_;
    mailboxes& boxes_;
    layer_counters& counted_;
    seldom broken_, unknown_;
};

} // namespace carillon::channels::redis
