// pubsub_names: the Pub/Sub channels of Redis that the pubsub layer uses, here called topics, and the host of each.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace carillon::channels::redis {

// Of a group's or a channel's name in the pubsub layer.
inline constexpr std::size_t pubsub_name_bytes_max = 512;

// Groups and channels may have any name here: valid UTF-8, not empty, at most pubsub_name_bytes_max.
bool is_pubsub_name(std::string_view name) noexcept;

// Immutable. A channel's topic is its name.
class pubsub_names {
public:
    pubsub_names(std::string_view prefix, std::size_t hosts);

    // "<prefix>__group__<group>"
    std::string topic_of(std::string_view group) const;
    // The group of which this is the topic; empty for other topics.
    std::string_view group_of(std::string_view topic) const noexcept;
    // The whole text decides.
    std::size_t host_of(std::string_view topic) const noexcept;

private:
    const std::string before_group_;
    const std::size_t hosts_;
};

} // namespace carillon::channels::redis
