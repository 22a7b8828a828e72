// link: the pair of connections to RabbitMQ, kept up: made, used by publisher and receiver, lost and made again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/broker/amqp_address.hpp"
#include "jobs/broker/amqp_connection.hpp"
#include "jobs/broker/amqp_counters.hpp"
#include "jobs/broker/amqp_declarer.hpp"
#include "jobs/broker/amqp_publisher.hpp"
#include "jobs/broker/amqp_receiver.hpp"
#include "jobs/broker/broker.hpp"
#include "net/loop.hpp"

namespace carillon::jobs::amqp {

// On the loop's thread, but for status() and good_since().
class link final : private receiver_owner {
public:
    using depths_told = std::function<void(const result<std::vector<broker::queue_depth>>&)>;

    link(net::loop& on, const broker_options& options, address where, unconfirmed_places& places,
         logger& log, counters& counted);
    link(const link&) = delete;

    void start(broker_events& events);
    // Says goodbye to the server, tells whoever waits errc::cancelled, then stops the loop.
    void close();
    receiver& in() noexcept { return receiver_; }
    void publish(outgoing what) { publisher_.publish(std::move(what)); }
    void emit(std::string exchange, std::string routing_key, std::string properties,
              std::string body) {
        publisher_.emit(std::move(exchange), std::move(routing_key), std::move(properties),
                        std::move(body));
    }
    void take_replies(std::string queue);
    void depths(std::vector<std::string> queues, depths_told told);

    result<void> status() const;
    std::optional<steady_time> good_since() const;

private:
    // One of the two connections.
    struct side final : connection_events {
        side(link& of, bool publishes_) : owner(of), publishes(publishes_) {}
        void on_open() noexcept override { owner.opened(); }
        void on_blocked(std::string_view reason) noexcept override { owner.blocked(reason); }
        void on_room() noexcept override {
            if (publishes)
                owner.publisher_.pump();
        }
        void on_closed(const failure& why) noexcept override { owner.lost(why); }
        link& owner;
        const bool publishes;
    };
    struct pair {
        pair(link& of, const endpoint& where);
        connection receiving, publishing;
        declarer declares;
    };

    void connect();
    void opened();
    void lost(const failure& why);
    void retry(bool was_up);
    void blocked(std::string_view reason);
    void say_lost(const failure& why, bool was_up);
    void say_up();
    void on_consuming() noexcept override;
    void on_not_consuming(const std::string& why) noexcept override;
    void on_broken(const failure& why) noexcept override;
    void set_trouble(std::string why); // empty: none
    connection_options options_for(const char* purpose) const;
    void told_depths(std::uint64_t question, const result<std::vector<broker::queue_depth>>& what);
    void forget_depths(errc code, const char* why);

    net::loop& loop_;
    const broker_options options_;
    const address where_;
    logger& log_;
    counters& counted_;
    side receiving_side_, publishing_side_;
    publisher publisher_;
    receiver receiver_;
    said_before said_;
    broker_events* events_ = nullptr;
    std::unique_ptr<pair> pair_;
    std::size_t host_ = 0;
    bool up_ = false;
    bool closing_ = false;
    bool was_blocked_ = false;
    std::string said_trouble_; // the last one in the log
    std::string blocked_why_, not_consuming_;
    steady_time up_since_;
    std::chrono::milliseconds backoff_;
    std::minstd_rand jitter_;
    std::optional<net::loop::timer_id> retry_;
    std::uint64_t questions_ = 0;
    std::map<std::uint64_t, depths_told> asked_;

    mutable std::mutex guard_;
    std::string trouble_;
    std::optional<steady_time> good_since_;
};

} // namespace carillon::jobs::amqp
