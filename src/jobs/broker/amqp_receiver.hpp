// receiver: consumers, deliveries and their acknowledgements. Acknowledgements of a turn leave together at its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
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

class receiver_owner {
public:
    virtual void on_consuming() noexcept = 0; // all that was asked for is consumed
    virtual void on_not_consuming(const std::string& why) noexcept = 0; // for now; it is tried
    virtual void on_broken(const failure& why) noexcept = 0; // the connection must be made anew

protected:
    ~receiver_owner() = default;
};

// On the loop's thread. Channels 1 (tasks) and 2 (control and replies, without acknowledgement) of a connection that
// never publishes.
class receiver final : private channel_events {
public:
    receiver(net::loop& on, const queue_shape& shape, receiver_owner& owner, logger& log,
             counters& counted);
    receiver(const receiver&) = delete;

    void deliver_to(broker_events& events) noexcept { events_ = &events; }
    void consume(std::vector<std::string> queues, std::uint32_t prefetch);
    bool has_consumed() const noexcept { return has_consumed_; } // tasks, ever
    void listen_to_control(std::string node);
    void take_replies(std::string queue, std::function<void()> declared);

    // Declares what was asked for and consumes it; the owner hears when that is done. Both outlive the attachment.
    void attach(connection& through, declarer& declares);
    void leave() noexcept;   // every tag is void
    void begin_delivering(); // what came since attach() and what comes from now on

    void ack(std::uint64_t tag);
    void reject(std::uint64_t tag, bool requeue);
    // A copy of a delivery that is neither acknowledged nor void; marks it as being delayed.
    struct held_copy {
        std::string queue;
        wire::celery::message_parts parts;
    };
    std::optional<held_copy> copy(std::uint64_t tag);
    void flush();
    void end() noexcept { ended_ = true; }

private:
    enum class kind : std::uint8_t { task, control, reply };
    struct consumer {
        kind what = kind::task;
        std::string queue;
        bool active = true;
    };
    struct held {
        std::string queue, properties, body;
        bool settled = false;
    };
    struct control_channel final : channel_events {
        explicit control_channel(receiver& of) : owner(of) {}
        void on_content(content got) noexcept override { owner.on_content(std::move(got)); }
        void on_cancelled(std::string_view tag) noexcept override { owner.on_cancelled(tag); }
        void on_channel_closed(const failure& why) noexcept override {
            owner.on_channel_closed(why);
        }
        receiver& owner;
    };

    void on_content(content got) noexcept override;
    void on_cancelled(std::string_view consumer_tag) noexcept override;
    void on_channel_closed(const failure& why) noexcept override;

    consumer* find(std::string_view consumer_tag) noexcept;
    held* find(std::uint64_t tag) noexcept;
    void take_task(const consumer& from, content got);
    void take_other(kind what, content got);
    void hand_over(delivery received);
    void change_tasks();
    void restart_tasks();
    void start_tasks();
    void stop_tasks();
    void start_task(const std::string& queue);
    void start(kind what, const std::string& queue, connection::told done);
    void start_other(kind what, std::vector<step> steps, std::string queue,
                     std::function<void()> then);
    void started(std::size_t& of);
    void drop_settled();

    net::loop& loop_;
    const queue_shape shape_;
    receiver_owner& owner_;
    logger& log_;
    counters& counted_;
    broker_events* events_ = nullptr;
    control_channel control_;
    connection* through_ = nullptr;
    declarer* declares_ = nullptr;

    std::vector<std::string> queues_;
    std::uint32_t prefetch_ = 0;
    bool has_consumed_ = false;
    std::string node_, reply_queue_;

    std::vector<consumer> consumers_; // a consumer's tag is its index
    std::uint64_t version_ = 0;       // of what is to be consumed; and of the connection
    std::size_t tasks_starting_ = 0, others_starting_ = 0;
    std::size_t beginning_ = 0; // consumers of tasks that RabbitMQ has not told to have begun
    bool change_due_ = false;   // when all of them have begun
    bool delivering_ = false;
    bool ended_ = false;
    std::deque<delivery> early_;

    std::uint64_t base_ = 0; // a delivery's tag is its channel's plus this
    std::deque<held> held_;  // the first has tag first_
    std::uint64_t first_ = 1;
    std::vector<std::uint64_t> acked_; // in this turn
};

} // namespace carillon::jobs::amqp
