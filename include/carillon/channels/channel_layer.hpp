// The channel layer: who gets which event. Channels' semantics; the memory layer serves one process, the Redis layers
// many.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <carillon/base/result.hpp>
#include <carillon/channels/event.hpp>

namespace carillon {

// Names as Channels accepts them: fewer than 100 characters of ASCII letters, digits, '-', '_' and '.'; a channel name
// may hold one '!' that is not its first character.
inline constexpr std::size_t channel_name_chars_max = 99;
bool is_group_name(std::string_view name) noexcept;
bool is_channel_name(std::string_view name) noexcept;

struct channel_layer_options {
    std::string prefix = "asgi";
    std::uint32_t capacity = 100;    // messages that may wait in one channel
    std::chrono::seconds expiry{60}; // how long a message may wait
    // how long a membership lasts without renewal (Redis)
    std::chrono::seconds group_expiry{86'400};
};

// All functions may be called on any thread, return at once and never wait for a receiver. Failures: errc::invalid for
// a malformed name or reserved event type, errc::channel_full, errc::unavailable when the layer's server cannot be
// reached.
class channel_layer {
public:
    virtual ~channel_layer() = default;

    // To every member of the group, in the order in which this thread sends. A group without members is no failure;
    // members whose channel is full miss the event, which is counted (carillon_layer_dropped_total).
    virtual result<void> group_send(std::string_view group, event e) = 0;
    // To one channel.
    virtual result<void> send(std::string_view channel, event e) = 0;
    // On the consumer's own shard, as in its handlers, a membership holds at the return; from elsewhere it holds soon,
    // so that an event sent right after group_add may miss the new member.
    virtual result<void> group_add(std::string_view group, std::string_view channel) = 0;
    virtual result<void> group_discard(std::string_view group, std::string_view channel) = 0;
};

} // namespace carillon
