// core_reader: takes the messages of this process' queue from one host.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "channels/redis/counters.hpp"
#include "channels/redis/credits.hpp"
#include "net/redis/client.hpp"

namespace carillon::channels::redis {

// On the I/O thread. Each message is taken at most once. One that comes alone is taken at once; where they come in groups,
// the one that ends a wait is taken together with those that followed it.
class core_reader final : private net::redis::client_events {
public:
    struct handlers {
        // In the queue's order.
        std::function<void(std::string_view message, std::shared_ptr<void> credit)> take;
        std::function<void()> up;   // connected
        std::function<void()> lost; // or the first attempt failed
    };
    core_reader(net::loop& on, net::redis::address where, std::string key, credits& allowance,
                handlers tell, logger& log, layer_counters& counted);
    ~core_reader();

    void start() { client_->start(); }
    bool up() const noexcept { return client_->up(); }
    // Begins, or goes on where credits had run out. Does nothing while it reads, and before it is connected.
    void read();

private:
    void on_up() noexcept override { tell_.up(); }
    void on_down(const failure&) noexcept override { tell_.lost(); }
    void on_first(result<wire::redis::reply> answer);
    void ask_for_more(std::size_t reserved);
    void on_more(std::size_t reserved, result<wire::redis::reply> answer);
    void take(std::string_view message);
    void pause(std::string_view why);

    net::loop& loop_;
    const std::string key_;
    credits& allowance_;
    const handlers tell_;
    layer_counters& counted_;
    seldom failed_;
    bool waiting_ = false;            // a blocking command is under way
    bool grouped_ = false;            // the last wait was followed by more than one message
    std::optional<std::string> held_; // ended a wait; those behind it are being asked for
    std::size_t largest_ = 1;         // bytes of the largest message of late
    std::optional<net::loop::timer_id> pause_;
    std::unique_ptr<net::redis::client> client_;
};

} // namespace carillon::channels::redis
