#include "channels/redis/pubsub_inbound.hpp"

#include <utility>

#include <fmt/format.h>

#include "channels/redis/redis_layer.hpp"

namespace carillon::channels::redis {

pubsub_inbound::pubsub_inbound(std::size_t bytes_max, const pubsub_names& names,
                               const wire::layer::message_codec& codec, hub* members,
                               mailboxes* boxes, named_channels& named, backlog& unhandled,
                               logger& log, layer_counters& counted)
    : bytes_max_(bytes_max), names_(names), codec_(codec), members_(members), boxes_(boxes),
      named_(named), unhandled_(unhandled), counted_(counted),
      broken_(log, "a message from Redis is dropped"),
      late_(log, "messages from Redis are dropped until those before them are handled") {}

void pubsub_inbound::drop(counter& of, std::string_view what, std::string_view topic) {
    of.add();
    broken_.warn(what, topic);
}

void pubsub_inbound::take(std::string_view topic, std::string_view payload) {
    counted_.received.add();
    if (payload.size() > bytes_max_)
        return drop(counted_.too_large, fmt::format("{} bytes", payload.size()), topic);
    const auto group = names_.group_of(topic);
    // Only groups count: channels have a capacity of their own.
    constexpr auto unit = redis_layer_options::undelivered_unit_bytes;
    auto share = group.empty() ? nullptr : unhandled_.share(1 + payload.size() / unit);
    if (!group.empty() && !share) { // before it costs anything
        counted_.backlog.add();
        return late_.warn("backlog", topic);
    }
    const auto present = std::chrono::floor<std::chrono::seconds>(utc_now());
    auto decoded = codec_.decode(payload, present);
    if (!decoded)
        return drop(counted_.undecodable, decoded.error().message, topic);
    if (is_reserved_event_type(decoded->type))
        return drop(counted_.undecodable, "its type is reserved", topic);
    const event e(std::move(decoded->type), std::move(decoded->members));
    const bool taken = group.empty() ? deliver(topic, e) : publish(group, e, std::move(share));
    if (!taken)
        counted_.no_receiver.add(); // they left while it came
}

bool pubsub_inbound::publish(std::string_view group, const event& e, std::shared_ptr<void> share) {
    return members_ && members_->publish(group, e, std::move(share));
}

bool pubsub_inbound::deliver(std::string_view channel, const event& e) {
    if (named_.push(channel, e))
        return true;
    if (!boxes_ || !boxes_->is_local(channel))
        return false;
    // A channel that is full was counted there.
    static_cast<void>(boxes_->send(channel, e));
    return true;
}

} // namespace carillon::channels::redis
