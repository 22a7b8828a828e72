// redis_replies: this process' own list of replies, bound so that Celery's workers find it.
#pragma once

#include <optional>

#include "jobs/broker/redis_watch.hpp"

namespace carillon::jobs::redis {

// On the broker's thread. The list has the broker's own name; upkeep removes it with the broker.
class replies {
public:
    replies(context& in, watch& changes, broker_events& told)
        : in_(in), changes_(changes), told_(told) {}
    replies(const replies&) = delete;
    ~replies() { stop(); }

    void open(); // declares it; now, or when the broker is there
    void on_up();
    void on_down() { stop(); }
    void stop();
    void wake();
    std::string key() const { return in_.keys.celery.queue(in_.self); }

private:
    void pop();
    void rest();
    context& in_;
    watch& changes_;
    broker_events& told_;
    bool opened_ = false, up_ = false, popping_ = false, again_ = false;
    std::chrono::milliseconds pause_{0};
    std::optional<net::loop::timer_id> look_again_;
};

} // namespace carillon::jobs::redis
