// publisher: what is to be sent to RabbitMQ, in order, until it is confirmed. Declares queues before it sends to them.
//
// Messages that were sent and not confirmed when the connection was lost are sent again after it is back, in their old
// order: a job may arrive twice then, and is never lost. Each is told within the publish timeout, whatever happens.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/broker/amqp_connection.hpp"
#include "jobs/broker/amqp_counters.hpp"
#include "jobs/broker/amqp_declarer.hpp"
#include "jobs/broker/amqp_topology.hpp"
#include "jobs/broker/broker.hpp"
#include "net/loop.hpp"

namespace carillon::jobs::amqp {

struct outgoing {
    std::string queue;
    std::string properties; // as write_properties() makes them
    std::string body;
    std::optional<utc_time> when; // appears in the queue not before
    broker::told done;
    steady_time deadline;
    int attempts = 0;
    bool counted = true; // it holds a place among the unconfirmed

    std::size_t bytes() const noexcept { return properties.size() + body.size() + queue.size(); }
};

// Places for messages that are not confirmed, counted by any thread.
class unconfirmed_places {
public:
    unconfirmed_places(std::uint32_t count_max, std::size_t bytes_max)
        : count_max_(count_max), bytes_max_(bytes_max) {}
    bool take(std::size_t bytes) noexcept;
    void give_back(std::size_t bytes) noexcept;

private:
    const std::size_t count_max_, bytes_max_;
    std::atomic<std::size_t> count_{0}, bytes_{0};
};

// On the loop's thread. Channels 1 (confirmed) and 2 (transient) of a connection that only publishes: RabbitMQ stops
// reading from one that publishes during an alarm, and acknowledgements must not wait behind.
class publisher final : private channel_events {
public:
    publisher(net::loop& on, const queue_shape& shape, unconfirmed_places& places, logger& log,
              counters& counted);
    publisher(const publisher&) = delete;

    void publish(outgoing what);
    // Replies, which go to the default exchange, wait while the broker is away or blocks: up to 10,000 and 16 MiB.
    // Other messages are lost then.
    void emit(std::string exchange, std::string routing_key, std::string properties,
              std::string body);

    // From now on through these; both outlive the attachment.
    void attach(connection& through, declarer& declares);
    void leave(const failure& why) noexcept; // there is no connection
    // While anybody holds it back, nothing leaves: what is declared just now comes first.
    void hold_back() noexcept { ++held_back_; }
    void let_go();
    void block(std::string_view reason); // empty: no more
    void pump();                         // sends what can be sent
    void end();                          // everything is told errc::cancelled

private:
    struct flight {
        outgoing what;
        bool settled = false;
        bool returned = false;
    };
    struct transient {
        std::string exchange, routing_key, properties, body;
        std::size_t bytes() const noexcept { return properties.size() + body.size(); }
    };
    // Transient messages have no confirmation: the channel of theirs may be closed over one, and nothing else.
    struct transient_channel final : channel_events {
        explicit transient_channel(publisher& of) : owner(of) {}
        void on_channel_closed(const failure& why) noexcept override;
        publisher& owner;
    };

    void on_content(content got) noexcept override; // a returned message
    void on_confirm(std::uint64_t tag, bool multiple, bool positive) noexcept override;
    void on_channel_closed(const failure& why) noexcept override;

    bool can_send() const noexcept;
    bool prepare(const outgoing& next); // false: something is declared first
    void send_emits();
    void declare(std::vector<step> steps, std::set<std::string>& then_in, std::string name);
    void send(outgoing what);
    void open_channels();
    void settle(flight& one, bool positive);
    void drop_settled();
    void take_back(bool count_attempts);
    void tell(outgoing& what, const result<void>& outcome);
    void watch_deadlines();
    void fail_late();

    net::loop& loop_;
    const queue_shape shape_;
    unconfirmed_places& places_;
    logger& log_;
    counters& counted_;
    transient_channel transient_;
    connection* through_ = nullptr;
    declarer* declares_ = nullptr;
    std::deque<outgoing> waiting_;
    std::deque<flight> flights_; // the first has tag first_tag_
    std::uint64_t first_tag_ = 1;
    std::deque<transient> emits_; // that cannot go now
    std::size_t emit_bytes_ = 0;
    std::set<std::string> declared_; // queues
    std::set<std::string> delayed_;  // queues bound to the delayed delivery; "" once that is there
    std::size_t one_by_one_ = 0; // as many are sent alone, to find the one that closes the channel
    int held_back_ = 0;
    std::uint64_t attachment_ = 0;
    bool declaring_ = false;
    std::optional<std::string> blocked_; // why
    std::string away_;                   // why there is no connection
    bool ended_ = false;
    std::optional<net::loop::timer_id> late_;
};

} // namespace carillon::jobs::amqp
