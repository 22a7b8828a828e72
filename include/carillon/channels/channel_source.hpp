// channel_source: how events are taken from a hand-named channel, one at a time.
#pragma once

#include <optional>

#include <carillon/base/clock.hpp>
#include <carillon/channels/event.hpp>

namespace carillon {

// At most once: an event that was taken is gone. One thread receives; interrupt() may be called on any.
class channel_source {
public:
    virtual ~channel_source() = default;
    // The next event, or nothing at the deadline and after interrupt(). Waits on the calling thread. Several sources of
    // one channel compete: each event goes to one of them (Redis' pubsub layer: one of each process).
    virtual std::optional<event> receive(steady_time deadline) = 0;
    // Ends a receive() that waits, and all later ones.
    virtual void interrupt() = 0;
};

} // namespace carillon
