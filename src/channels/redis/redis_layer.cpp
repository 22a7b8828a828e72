#include "channels/redis/redis_layer.hpp"

#include "channels/redis/core_layer.hpp"
#include "channels/redis/pubsub_layer.hpp"

namespace carillon::channels {

namespace {

// What contradicts itself, or nothing.
const char* trouble_with(const redis_layer_options& options, const hub* members,
                         const mailboxes* boxes) {
    if (options.servers.hosts.empty())
        return "the channel layer has no server";
    if (!members != !boxes)
        return "the channel layer needs groups and channels, or neither";
    if (options.common.pubsub_names != options.servers.pubsub)
        return "the names of channels are not those of the layer's wire";
    if (options.common.expiry.count() <= 0 || options.common.group_expiry.count() <= 0)
        return "expiry and group_expiry are at least a second";
    if (options.common.capacity == 0 || options.node_capacity == 0)
        return "a capacity is at least 1";
    // Each host holds one place for the message that it waits for.
    if (options.undelivered_events_max <= options.servers.hosts.size())
        return "undelivered_events_max is more than the number of servers";
    return nullptr;
}

} // namespace

result<std::unique_ptr<redis_layer>> redis_layer::make(redis_layer_options options, hub* members,
                                                       mailboxes* boxes, logger& log,
                                                       metrics& counted) {
    if (const auto* trouble = trouble_with(options, members, boxes))
        return failure{errc::invalid, trouble};
    if (options.servers.pubsub)
        return std::unique_ptr<redis_layer>(std::make_unique<redis::pubsub_layer>(
            std::move(options), members, boxes, log, counted));
    return std::unique_ptr<redis_layer>(
        std::make_unique<redis::core_layer>(std::move(options), members, boxes, log, counted));
}

} // namespace carillon::channels
