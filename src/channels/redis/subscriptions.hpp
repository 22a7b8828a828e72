// subscriptions: the connection to one server on which messages come, and what is subscribed there.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "channels/redis/counters.hpp"
#include "channels/redis/registry.hpp"
#include "net/redis/client.hpp"

namespace carillon::channels::redis {

// On the I/O thread.
class subscriptions_events {
public:
    virtual void on_message(std::string_view topic, std::string_view payload) noexcept = 0;
    // Connected, and everything that was wanted at that time is subscribed.
    virtual void on_subscribed(std::size_t host) noexcept = 0;
    // The connection is lost, or the first attempt failed.
    virtual void on_unsubscribed(std::size_t host, const failure& why) noexcept = 0;

protected:
    ~subscriptions_events() = default;
};

// On the I/O thread where not said otherwise. The names of the registry are topics.
class subscriptions final : private net::redis::client_events {
public:
    // Of one SUBSCRIBE; more go in several.
    static constexpr std::size_t names_max = 50'000;
    // What the server did not let this process hear is tried again so often.
    static constexpr std::chrono::seconds retry_interval{10};

    // Everything outlives it.
    subscriptions(net::loop& on, const net::redis::address& where, std::size_t host,
                  net::redis::client_options connection, registry& topics,
                  subscriptions_events& events, logger& log, layer_counters& counted);
    subscriptions(const subscriptions&) = delete;
    ~subscriptions();

    void start() { client_->start(); }
    // The registry has changes.
    void update();
    bool subscribed() const noexcept { return subscribed_; }
    // Any thread. Which topic the server refuses, and why; empty when it refuses none.
    std::string refusal() const;

private:
    struct sent {
        bool subscribes = true;
        std::vector<registry::change> topics;
        std::size_t acknowledged = 0;
    };
    void on_up() noexcept override;
    void on_down(const failure& why) noexcept override;
    void on_push(wire::redis::reply pushed) noexcept override;

    void send(bool subscribes, std::vector<registry::change> topics);
    void acknowledge(bool subscribes, const std::string& topic);
    void on_refused(const std::string& why);
    void try_one_by_one(sent what);
    void retry_later();
    void look_whether_subscribed();
    void set_refusal(std::string text);

    net::loop& loop_;
    const std::size_t host_;
    registry& topics_;
    subscriptions_events& events_;
    logger& log_;
    std::unique_ptr<net::redis::client> client_;
    std::deque<sent> under_way_; // acknowledgements come in this order
    bool restoring_ = false, subscribed_ = false;
    std::optional<net::loop::timer_id> retry_;
    seldom refused_;
    mutable std::mutex guard_;
    std::string refusal_;
};

} // namespace carillon::channels::redis
