#include "jobs/broker/amqp_broker.hpp"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "base/uuid.hpp"
#include "jobs/broker/amqp_fields.hpp"
#include "jobs/broker/amqp_link.hpp"

namespace carillon::jobs {

namespace {

constexpr std::size_t name_bytes_max =
    200; // of queues, exchanges and routing keys; AMQP has room for 255
constexpr std::chrono::seconds retry_delay{1};
constexpr int transient = 1;
constexpr int persistent = 2;

} // namespace

class amqp_broker final : public broker {
public:
    amqp_broker(const broker_options& options, amqp::address where, logger& log, metrics& counted)
        : name_(where.name()), timeout_(options.publish_timeout),
          places_(options.unconfirmed_max, options.unconfirmed_bytes_max),
          bytes_max_(options.unconfirmed_bytes_max), counted_(counted),
          link_(loop_, options, std::move(where), places_, log, counted_) {}
    ~amqp_broker() override;

    void start(broker_events& events) override;
    void leave() override;
    void publish(std::string queue, wire::celery::message_parts parts, told done) override {
        send(std::move(queue), std::nullopt, std::move(parts), std::move(done), true);
    }
    void publish_at(utc_time when, std::string queue, wire::celery::message_parts parts,
                    told done) override {
        send(std::move(queue), when, std::move(parts), std::move(done), true);
    }
    void emit(std::string exchange, std::string routing_key,
              wire::celery::message_parts parts) override;
    void consume(std::vector<std::string> queues, std::uint32_t prefetch) override;
    void ack(std::uint64_t tag) override;
    void reject(std::uint64_t tag, bool requeue) override;
    void delay(std::uint64_t tag, utc_time until) override;
    void touch(std::vector<std::uint64_t>) override {}
    void listen_to_control(std::string node) override;
    std::string reply_queue() override;
    void depths(std::vector<std::string> queues, amqp::link::depths_told answer) override;
    result<void> status() const override { return link_.status(); }
    std::optional<steady_time> good_since() const override { return link_.good_since(); }
    const std::string& name() const noexcept override { return name_; }

private:
    void send(std::string queue, std::optional<utc_time> when, wire::celery::message_parts parts,
              told done, bool counted);
    void delay_here(std::uint64_t tag, utc_time until);
    void refuse(told done, failure why);
    static result<std::string> properties_of(wire::celery::message_parts& parts, bool delayed);

    const std::string name_;
    const std::chrono::milliseconds timeout_;
    net::loop loop_;
    amqp::unconfirmed_places places_;
    const std::size_t bytes_max_;
    amqp::counters counted_;
    amqp::link link_;
    std::thread thread_;
    std::mutex guard_;
    std::string reply_queue_; // under guard_
};

void amqp_broker::start(broker_events& events) {
    loop_.post([this, &events] { link_.start(events); });
    thread_ = std::thread([this] { loop_.run(); });
}

// Where it was never started, what waits is told from here.
amqp_broker::~amqp_broker() {
    loop_.post([this] { link_.close(); });
    if (thread_.joinable())
        thread_.join();
    else
        loop_.run();
}

// The connections are closed, and with them every delivery is the server's again.
void amqp_broker::leave() {
    loop_.post([this] { link_.close(); });
    if (thread_.joinable())
        thread_.join();
}

// --- sending

void amqp_broker::refuse(told done, failure why) {
    loop_.post([done = std::move(done), why = std::move(why)] { done(why); });
}

result<std::string> amqp_broker::properties_of(wire::celery::message_parts& parts, bool delayed) {
    if (delayed) {
        amqp::strip_death(parts.headers);
        parts.properties.erase("expiration");
    }
    return amqp::write_properties(parts, persistent);
}

// Encoded on the caller's thread: the broker's own only sends.
void amqp_broker::send(std::string queue, std::optional<utc_time> when,
                       wire::celery::message_parts parts, told done, bool counted) {
    if (!done)
        done = [](const result<void>&) {};
    if (queue.empty() || queue.size() > name_bytes_max)
        return refuse(std::move(done), {errc::invalid, "the name of a queue has 1 to 200 bytes"});
    auto properties = properties_of(parts, when.has_value());
    if (!properties)
        return refuse(std::move(done), properties.error());
    amqp::outgoing what;
    what.queue = std::move(queue);
    what.properties = std::move(*properties);
    what.body = std::move(parts.body);
    what.when = when;
    what.done = std::move(done);
    what.deadline = now() + timeout_;
    what.counted = counted;
    if (what.bytes() > bytes_max_)
        return refuse(std::move(what.done),
                      {errc::too_large, "a message has " + std::to_string(what.bytes()) +
                                            " bytes; at most " + std::to_string(bytes_max_) +
                                            " may wait for RabbitMQ"});
    if (counted && !places_.take(what.bytes()))
        return refuse(std::move(what.done),
                      {errc::unavailable, "too many messages wait for RabbitMQ already"});
    loop_.post([this, what = std::move(what)]() mutable { link_.publish(std::move(what)); });
}

void amqp_broker::emit(std::string exchange, std::string routing_key,
                       wire::celery::message_parts parts) {
    auto properties = amqp::write_properties(parts, transient);
    if (!properties || exchange.size() > name_bytes_max || routing_key.size() > name_bytes_max)
        return counted_.dropped.add();
    loop_.post([this, exchange = std::move(exchange), routing_key = std::move(routing_key),
                properties = std::move(*properties), body = std::move(parts.body)]() mutable {
        link_.emit(std::move(exchange), std::move(routing_key), std::move(properties),
                   std::move(body));
    });
}

// --- receiving

void amqp_broker::consume(std::vector<std::string> queues, std::uint32_t prefetch) {
    loop_.post([this, queues = std::move(queues), prefetch]() mutable {
        link_.in().consume(std::move(queues), prefetch);
    });
}

void amqp_broker::ack(std::uint64_t tag) {
    loop_.post([this, tag] { link_.in().ack(tag); });
}

void amqp_broker::reject(std::uint64_t tag, bool requeue) {
    loop_.post([this, tag, requeue] { link_.in().reject(tag, requeue); });
}

void amqp_broker::delay(std::uint64_t tag, utc_time until) {
    loop_.post([this, tag, until] { delay_here(tag, until); });
}

void amqp_broker::delay_here(std::uint64_t tag, utc_time until) {
    auto copy = link_.in().copy(tag);
    if (!copy)
        return;
    // not counted: the prefetch bounds how many there are
    send(
        std::move(copy->queue), until, std::move(copy->parts),
        [this, tag](const result<void>& stored) {
            if (stored)
                return link_.in().ack(tag);
            if (stored.error().code == errc::cancelled)
                return;
            loop_.at(now() + retry_delay, [this, tag] { link_.in().reject(tag, true); });
        },
        false);
}

// --- remote control and replies

void amqp_broker::listen_to_control(std::string node) {
    node.resize(std::min(node.size(), name_bytes_max));
    loop_.post([this, node = std::move(node)]() mutable {
        link_.in().listen_to_control(std::move(node));
    });
}

std::string amqp_broker::reply_queue() {
    std::lock_guard lock(guard_);
    if (reply_queue_.empty()) {
        reply_queue_ = make_uuid();
        loop_.post([this, queue = reply_queue_] { link_.take_replies(queue); });
    }
    return reply_queue_;
}

void amqp_broker::depths(std::vector<std::string> queues, amqp::link::depths_told answer) {
    loop_.post([this, queues = std::move(queues), answer = std::move(answer)]() mutable {
        link_.depths(std::move(queues), std::move(answer));
    });
}

result<std::unique_ptr<broker>> open_amqp_broker(const broker_options& options, logger& log,
                                                 metrics& counted) {
    auto where = amqp::parse_address(options.url);
    if (!where)
        return where.error();
    return std::unique_ptr<broker>(
        std::make_unique<amqp_broker>(options, std::move(*where), log, counted));
}

} // namespace carillon::jobs
