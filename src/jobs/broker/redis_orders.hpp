// redis_orders: commands that wait while the server is away, and are sent again when their answer was lost. For those
// that may be done twice.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/redis/client.hpp"

namespace carillon::jobs::redis {

// On the loop's thread.
class orders {
public:
    using told = net::redis::client::told;
    using sender = std::function<void(net::redis::client&, told)>;

    orders(net::loop& on, net::redis::client& through, std::chrono::milliseconds timeout)
        : loop_(on), client_(through), timeout_(timeout) {}
    orders(const orders&) = delete;
    ~orders() { close(); }

    // `done` hears the reply; errc::unavailable after the timeout, errc::cancelled at the end.
    void put(sender send, told done);
    void on_up();
    void on_down() { up_ = false; }
    void close();

private:
    struct order {
        sender send;
        told done;
        steady_time deadline;
    };
    void pump();
    void take_back();
    void settle(const std::shared_ptr<order>& one, result<wire::redis::reply> answer);
    void watch_time();
    void expire();

    net::loop& loop_;
    net::redis::client& client_;
    const std::chrono::milliseconds timeout_;
    std::deque<std::shared_ptr<order>> waiting_, returned_;
    std::size_t under_way_ = 0;
    bool up_ = false, closed_ = false;
    std::optional<net::loop::timer_id> expiry_;
};

} // namespace carillon::jobs::redis
