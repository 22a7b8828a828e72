#include "channels/memory_layer.hpp"

#include <fmt/format.h>

namespace carillon::channels {

namespace {

result<void> check_group(std::string_view group) {
    if (!is_group_name(group))
        return failure{errc::invalid,
                       fmt::format("'{}' is no group name: 1 to {} ASCII letters, digits, - _ .",
                                   group.substr(0, 40), channel_name_chars_max)};
    return {};
}

result<void> check_channel(std::string_view channel) {
    if (!is_channel_name(channel))
        return failure{
            errc::invalid,
            fmt::format("'{}' is no channel name: 1 to {} ASCII letters, digits, - _ . and one !",
                        channel.substr(0, 40), channel_name_chars_max)};
    return {};
}

result<void> check_type(const event& e) {
    if (is_reserved_event_type(e.type()))
        return failure{errc::invalid, fmt::format("the event type '{}' is reserved", e.type())};
    return {};
}

} // namespace

result<delivery> memory_layer::publish(std::string_view group, const event& e) {
    if (auto sound = check_group(group); !sound)
        return sound.error();
    if (auto sound = check_type(e); !sound)
        return sound.error();
    const bool any = members_.publish(group, e);
    auto reached = boxes_.by_hand().put_to_members(group, e);
    reached.queues += any ? 1 : 0;
    return reached;
}

result<void> memory_layer::group_send(std::string_view group, event e) {
    const auto published = publish(group, e);
    return published ? result<void>() : published.error();
}

void memory_layer::group_send_confirmed(std::string_view group, event e, delivery_told told) {
    told(publish(group, e));
}

result<std::unique_ptr<channel_source>> memory_layer::receive_from(std::string_view channel) {
    if (auto sound = check_channel(channel); !sound)
        return sound.error();
    if (!boxes_.is_by_hand(channel))
        return failure{
            errc::invalid,
            fmt::format("'{}' is a consumer's own channel: only it receives there", channel)};
    return boxes_.by_hand().reader(std::string(channel));
}

result<void> memory_layer::send(std::string_view channel, event e) {
    if (auto sound = check_channel(channel); !sound)
        return sound;
    if (auto sound = check_type(e); !sound)
        return sound;
    return boxes_.send(channel, e);
}

result<void> memory_layer::group_add(std::string_view group, std::string_view channel) {
    if (auto sound = check_group(group); !sound)
        return sound;
    if (auto sound = check_channel(channel); !sound)
        return sound;
    if (boxes_.is_by_hand(channel)) {
        boxes_.by_hand().join(group, channel);
        return {};
    }
    boxes_.with_owner(channel,
                      [this, name = std::string(group)](net::shard& home, subscriber& who) {
                          members_.join(home, name, who);
                      });
    return {};
}

result<void> memory_layer::group_discard(std::string_view group, std::string_view channel) {
    if (auto sound = check_group(group); !sound)
        return sound;
    if (auto sound = check_channel(channel); !sound)
        return sound;
    if (boxes_.is_by_hand(channel)) {
        boxes_.by_hand().leave(group, channel);
        return {};
    }
    boxes_.with_owner(channel,
                      [this, name = std::string(group)](net::shard& home, subscriber& who) {
                          members_.leave(home, name, who);
                      });
    return {};
}

} // namespace carillon::channels
