// broker: a message broker that Celery's workers and clients use too, as the job queue sees it. RabbitMQ and Redis
// implement it; what they carry is wire::celery's messages.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/message.hpp"
#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/result.hpp>

namespace carillon::jobs {

// A task message as it came. Decoding it is the receiver's: whatever it holds, it has a tag and can be acknowledged.
struct delivery {
    std::uint64_t tag =
        0; // this broker's own number, never reused; spent by ack(), reject() and delay()
    std::string queue;
    std::string exchange, routing_key;
    wire::celery::message_parts parts;
    bool redelivered = false;
};

// On the broker's thread: quick, and no call may wait for the broker.
class broker_events {
public:
    // Connected: queues are declared and consumed as asked. Also after each reconnect.
    virtual void on_up() noexcept = 0;
    // It was up and is lost. Every tag is void: those messages come again, to whomever. Publishes under way are told.
    virtual void on_down(const failure& why) noexcept = 0;
    virtual void on_delivery(delivery received) noexcept = 0;
    // A request of remote control that was broadcast to all workers; only after listen_to_control().
    virtual void on_control(wire::celery::message_parts request) noexcept {
        static_cast<void>(request);
    }
    // A message to this process' reply queue: results of rpc, replies of remote control.
    virtual void on_reply(wire::celery::message_parts reply) noexcept { static_cast<void>(reply); }

protected:
    ~broker_events() = default;
};

struct broker_options {
    std::string url; // amqp://, amqps:// or redis:// and its kin; holds secrets
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds backoff_first{100}; // doubled up to backoff_max, with jitter
    std::chrono::milliseconds backoff_max{5'000};
    std::chrono::seconds heartbeat{30};
    // Publishes that wait for the broker or for its confirmation. Above: errc::unavailable at once.
    std::uint32_t unconfirmed_max = 20'000;
    std::size_t unconfirmed_bytes_max = 64u << 20;
    // How long a publish waits while the broker is away; then it fails with errc::unavailable.
    std::chrono::milliseconds publish_timeout{10'000};
    std::size_t message_bytes_max =
        64u << 20; // of what is received: a larger one is rejected and logged
    // Redis: a delivery that nobody touched or acknowledged for that long goes to another worker. Also Celery's setting
    // of that name, which must be the same on both sides.
    std::chrono::seconds visibility_timeout{3'600};
    std::string keyprefix; // Redis: Celery's global_keyprefix
    std::optional<int>
        queue_priority_max;     // AMQP: x-max-priority of the queues that this process declares
    bool quorum_queues = false; // AMQP: x-queue-type of them
};

// Thread-safe, on a thread of its own. Nothing here waits; what has an outcome tells it to a callback, once, on the
// broker's thread, also when the broker is destroyed (errc::cancelled).
class broker {
public:
    virtual ~broker() = default; // closes; nothing is called afterwards
    // For a program that ends while others may still call this: what is not acknowledged goes back, nothing is
    // delivered any more. Returns once the server has heard of it and of every acknowledgement, or after a few seconds.
    // What is published afterwards may be lost without a word.
    virtual void leave() = 0;
    using told = std::function<void(const result<void>&)>;

    // Connects, and goes on trying for ever. `events` outlives the broker.
    virtual void start(broker_events& events) = 0;

    // --- sending
    // To a queue, which is declared if need be. Success: the broker has it (RabbitMQ: confirmed; persistent unless its
    // delivery_mode says otherwise). errc::unavailable, errc::too_large.
    virtual void publish(std::string queue, wire::celery::message_parts parts, told done) = 0;
    // The same, but it appears in the queue not before that time; held by the broker's store, not by a worker.
    virtual void publish_at(utc_time when, std::string queue, wire::celery::message_parts parts,
                            told done) = 0;
    // Transient, unconfirmed, to an exchange with a routing key: replies, events, control requests. Lost while away,
    // but for those to the default exchange (results for whoever waits): so many of them wait as docs/limits.md says.
    virtual void emit(std::string exchange, std::string routing_key,
                      wire::celery::message_parts parts) = 0;

    // --- receiving
    // At most `prefetch` messages are delivered and not acknowledged (RabbitMQ: of each queue). Calling it again
    // changes either. Without queues or with 0 nothing is delivered.
    virtual void consume(std::vector<std::string> queues, std::uint32_t prefetch) = 0;
    virtual void ack(std::uint64_t tag) = 0;
    virtual void reject(std::uint64_t tag, bool requeue) = 0;
    // Takes the delivery out of this worker's hands until then: a copy is stored as publish_at() does, then it is
    // acknowledged. If storing fails it stays unacknowledged, so that it comes again.
    virtual void delay(std::uint64_t tag, utc_time until) = 0;
    // These deliveries are still being worked on (Redis: refreshes their visibility).
    virtual void touch(std::vector<std::uint64_t> tags) = 0;

    // --- remote control and replies
    // This process is the node of that name ("celery@host"): broadcast requests come to on_control().
    virtual void listen_to_control(std::string node) = 0;
    // A queue of this process' own for replies; its name is what goes into reply_to. Declared at once or as soon as the
    // broker is there, before anything that is published later.
    virtual std::string reply_queue() = 0;

    // --- looking
    struct queue_depth {
        std::string name;
        std::uint64_t ready = 0;                // Redis: all priorities
        std::optional<std::uint64_t> delayed;   // where the broker can tell
        std::optional<std::uint64_t> consumers; // where the broker can tell
    };
    virtual void depths(std::vector<std::string> queues,
                        std::function<void(const result<std::vector<queue_depth>>&)> told) = 0;
    // Connected, and consuming if that was asked: says what is wrong otherwise.
    virtual result<void> status() const = 0;
    // Since when status() is good, or nothing. For "has not been able to take work for 15 s".
    virtual std::optional<steady_time> good_since() const = 0;
    // Without secrets.
    virtual const std::string& name() const noexcept = 0;
};

// amqp://[user:password@]host[:5672][/vhost], amqps://, redis://…, rediss://…, redis+sentinel://…, unix://…
// errc::invalid says what is wrong with the URL, without its password. Does not connect.
result<std::unique_ptr<broker>> open_broker(const broker_options& options, logger& log,
                                            metrics& counted);

} // namespace carillon::jobs
