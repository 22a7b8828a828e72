#include "channels/redis/core_inbound.hpp"

#include <fmt/format.h>

namespace carillon::channels::redis {

core_inbound::core_inbound(const redis_layer_options& options, const core_names& names,
                           const wire::layer::message_codec& codec, const core_membership& groups,
                           hub& members, mailboxes& boxes, logger& log, layer_counters& counted)
    : options_(options), names_(names), codec_(codec), groups_(groups), members_(members),
      boxes_(boxes), counted_(counted), broken_(log, "a message from Redis is dropped"),
      unknown_(log, "a message from Redis is for nobody here") {}

void core_inbound::take(std::string_view message, const std::shared_ptr<void>& credit) {
    if (message.size() > options_.message_bytes_max) {
        counted_.too_large.add();
        return broken_.warn(fmt::format("{} bytes", message.size()), "the own queue");
    }
    const auto present = std::chrono::floor<std::chrono::seconds>(utc_now());
    auto decoded = codec_.decode(message, present);
    if (!decoded) {
        counted_.undecodable.add();
        return broken_.warn(decoded.error().message, "the own queue");
    }
    if (is_reserved_event_type(decoded->type)) {
        counted_.undecodable.add();
        return broken_.warn("its type is reserved", decoded->type);
    }
    const event e(std::move(decoded->type), std::move(decoded->members));
    deliver(*decoded, e, credit);
}

std::string_view core_inbound::group_of(std::string_view channel) const noexcept {
    if (!names_.is_own(channel))
        return {};
    const auto local = channel.substr(names_.own().size());
    if (local.starts_with(entry_by_name))
        return local.substr(entry_by_name.size());
    if (local.starts_with(entry_by_hash))
        return groups_.group_of_hash(local.substr(entry_by_hash.size()));
    return {};
}

void core_inbound::deliver(const wire::layer::decoded_message& message, const event& e,
                           const std::shared_ptr<void>& credit) {
    if (message.channels.empty()) {
        counted_.no_receiver.add();
        return unknown_.warn("it names no channel", e.type());
    }
    std::vector<std::string> groups;
    for (const auto& channel : message.channels)
        if (const auto group = group_of(channel); !group.empty())
            groups.emplace_back(group);
    for (const auto& channel : message.channels) {
        const auto group = group_of(channel);
        const bool reached = group.empty() ? deliver_to_one(channel, groups, e, credit)
                                           : members_.publish(group, e, credit);
        if (reached)
            continue;
        counted_.no_receiver.add();
        unknown_.warn(channel, e.type());
    }
}

// Other processes may have put a consumer's own name into a group in which our entry is too.
bool core_inbound::deliver_to_one(const std::string& channel,
                                  const std::vector<std::string>& groups, const event& e,
                                  const std::shared_ptr<void>& credit) {
    if (!names_.is_own(channel) || !boxes_.is_open(channel))
        return false;
    if (groups.empty()) {
        // A channel that is full was counted there.
        static_cast<void>(boxes_.send(channel, e, credit));
        return true;
    }
    boxes_.with_owner(channel, [this, groups, e, credit](net::shard& home, subscriber& who) {
        for (const auto& group : groups)
            if (members_.is_member(home, group, who))
                return;
        who.on_event(e, nullptr);
    });
    return true;
}

} // namespace carillon::channels::redis
