// redis_outgoing: the messages on their way to Redis. Batches with numbers, one under way at a time: one whose answer
// was lost is sent again, and the server knows whether it has it. Replies go with them, and wait for as long as the
// server is away: whoever waits for one asks nobody else.
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
        bool reply = false;
    };
    // Replies that wait or are under way.
    static constexpr std::size_t replies_max = 10'000, reply_bytes_max = std::size_t{16} << 20;

    // `dropped` counts the replies above that, and those that the server refuses or nobody came back to take.
    outgoing(context& in, counter& dropped) : in_(in), dropped_(dropped) {}
    outgoing(const outgoing&) = delete;
    ~outgoing() { close(); }

    // Any thread: room for a message of that size, to be asked for before put(). errc::unavailable, errc::too_large.
    result<void> admit(std::size_t bytes);

    // --- on the broker's thread
    void put(message one);
    void put_reply(std::string list, std::string element);
    void on_up();
    void on_down();
    // `then`, once no reply waits or is under way, or the connection is lost. Once at a time.
    void when_replied(std::function<void()> then);
    // Everything that is not confirmed is told errc::cancelled.
    void close();

private:
    void send();
    void fill_batch();
    std::optional<steady_time> first_deadline() const;
    void fail_batch(const failure& why);
    void tell_replied();
    void settle(const result<wire::redis::reply>& answer);
    void tell(message& one, const result<void>& outcome);
    void tell_batch(const wire::redis::reply& failed);
    void watch_time();
    void expire();

    context& in_;
    counter& dropped_;
    std::deque<message> waiting_, replies_;
    std::vector<message> batch_; // under way, or to be sent again; replies in front
    std::size_t reply_count_ = 0, reply_bytes_ = 0;
    std::function<void()> replied_;
    std::uint64_t number_ = 0; // of the batch
    std::string refusal_;      // why the server does not take it now
    bool under_way_ = false, up_ = false, closed_ = false;
    std::optional<net::loop::timer_id> expiry_, again_;
    std::atomic<std::uint32_t> count_{0};
    std::atomic<std::size_t> bytes_{0};
};

} // namespace carillon::jobs::redis
