// The channel layer: who gets which event. Channels' semantics; the memory layer serves one process, the Redis layers
// many.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <carillon/base/result.hpp>
#include <carillon/channels/channel_source.hpp>
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
    // Consumers' own channels are named as channels_redis.pubsub does it.
    bool pubsub_names = false;
};

// What became of an event: how many queues it was meant for (a Redis layer has one for each process with members or
// each hand-named channel), and how many of them were full.
struct delivery {
    std::uint32_t queues = 0;
    std::uint32_t full = 0;
};
using delivery_told = std::function<void(const result<delivery>&)>;

// What consumers get, as an event of this type, when events may have been lost for them: the layer's server was away
// and is back, and their memberships hold again. A consumer that shows a state sends it anew. To handle it is optional.
inline constexpr std::string_view gap_event_type = "layer.gap";

// All functions may be called on any thread, return at once and never wait for a receiver. Failures: errc::invalid for
// a malformed name, a reserved event type or content that the layer cannot carry; errc::channel_full; errc::unavailable
// when the layer's server has been away for longer than events may wait for it, or too many wait already.
class channel_layer {
public:
    virtual ~channel_layer() = default;

    // To every member of the group, in the order in which this thread sends. A group without members is no failure;
    // members whose channel is full miss the event, which is counted (carillon_layer_dropped_total). Success means
    // accepted: with a server between, what happens later is counted and logged, or told by the other form.
    virtual result<void> group_send(std::string_view group, event e) = 0;
    // To one channel.
    virtual result<void> send(std::string_view channel, event e) = 0;

    // The same, and `told` hears the outcome, once, on any thread, possibly before the return. Sending to one channel
    // that is full fails with errc::channel_full.
    virtual void group_send_confirmed(std::string_view group, event e, delivery_told told);
    virtual void send_confirmed(std::string_view channel, event e, delivery_told told);

    // On the consumer's own shard, as in its handlers, a membership holds at the return; from elsewhere it holds soon,
    // so that an event sent right after group_add may miss the new member. A Redis layer takes any channel's name.
    virtual result<void> group_add(std::string_view group, std::string_view channel) = 0;
    virtual result<void> group_discard(std::string_view group, std::string_view channel) = 0;

    // A reader of a channel that was named by hand (no '!' in its name). errc::invalid; errc::unavailable for a layer
    // whose channels live in another process. The layer outlives it.
    virtual result<std::unique_ptr<channel_source>> receive_from(std::string_view channel);

    // Whether this is the name of a group here; Redis' pubsub layer takes nearly any.
    virtual bool accepts_group(std::string_view name) const noexcept { return is_group_name(name); }
    // False when members of this process may not be reached yet by what others send to the group: its registration
    // with the layer's server is under way. `ready` is called then, once, on any thread: when it holds, or when the
    // server is away, so that nothing is sent and consumers will hear of the gap. Otherwise `ready` is never called.
    virtual bool reaches_members(std::string_view group, std::function<void()> ready);
    // Whether the layer works at this moment; says what is wrong. Does not wait.
    virtual result<void> status() const { return {}; }
};

} // namespace carillon
