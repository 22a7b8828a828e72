// redis_outgoing: the messages on their way to Redis. Batches with numbers, one under way at a time: one whose answer
// was lost is sent again, and the server knows whether it has it.
#pragma once

#include <atomic>
#include <deque>
#include <optional>
#include <vector>

#include "jobs/broker/redis_context.hpp"

namespace carillon::jobs::redis {

class outgoing {
public:
    struct message {
        std::string list; // the key
        std::string due;  // a score; empty: now
        std::string element;
        broker::told done;
        steady_time deadline{};
    };

    explicit outgoing(context& in) : in_(in) {}
    outgoing(const outgoing&) = delete;
    ~outgoing() { close(); }

    // Any thread: room for a message of that size, to be asked for before put(). errc::unavailable, errc::too_large.
    result<void> admit(std::size_t bytes);

    // --- on the broker's thread
    void put(message one);
    void on_up();
    void on_down() { up_ = false; }
    // Everything that is not confirmed is told errc::cancelled.
    void close();

private:
    void send();
    void settle(const result<wire::redis::reply>& answer);
    void tell(message& one, const result<void>& outcome);
    void tell_batch(const wire::redis::reply& failed);
    void watch_time();
    void expire();

    context& in_;
    std::deque<message> waiting_;
    std::vector<message> batch_; // under way, or to be sent again
    std::uint64_t number_ = 0;   // of the batch
    std::string refusal_;        // why the server does not take it now
    bool under_way_ = false, up_ = false, closed_ = false;
    std::optional<net::loop::timer_id> expiry_, again_;
    std::atomic<std::uint32_t> count_{0};
    std::atomic<std::size_t> bytes_{0};
};

} // namespace carillon::jobs::redis
