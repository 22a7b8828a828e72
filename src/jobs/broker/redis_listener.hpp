// redis_listener: the connection that subscribes. Keys that changed, and requests of remote control.
#pragma once

#include <set>
#include <string>

#include "net/redis/client.hpp"

namespace carillon::jobs::redis {

class listener_events {
public:
    // The connection's id among the server's clients, once it hears; 0 when it is lost.
    virtual void on_listening(std::int64_t id) noexcept = 0;
    virtual void on_message(const std::string& channel, wire::redis::reply content) noexcept = 0;

protected:
    ~listener_events() = default;
};

// On the loop's thread.
class listener final : private net::redis::client_events {
public:
    listener(net::loop& on, net::redis::address where, net::redis::client_options options,
             listener_events& events, logger& log, net::redis::client_counters& counted);
    void start() { client_.start(); }
    // Kept over outages.
    void subscribe(std::string channel);

private:
    void on_up() noexcept override;
    void on_down(const failure& why) noexcept override;
    void on_push(wire::redis::reply pushed) noexcept override;

    listener_events& events_;
    std::set<std::string> channels_;
    std::int64_t id_ = 0;
    net::redis::client client_;
};

} // namespace carillon::jobs::redis
