// redis_upkeep: what every broker does for all from time to time: moves what is due to its queue, shows that it lives,
// gives the messages of those that do not to others, and those that were forgotten (the visibility timeout).
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "jobs/broker/redis_restorer.hpp"
#include "jobs/broker/redis_watch.hpp"

namespace carillon::jobs::redis {

class upkeep {
public:
    // `declared_dead`: others have removed what this broker had declared.
    upkeep(context& in, watch& changes, restorer& back, std::function<void()> declared_dead)
        : in_(in), changes_(changes), back_(back), declared_dead_(std::move(declared_dead)) {}
    upkeep(const upkeep&) = delete;
    ~upkeep() { stop(); }

    void on_up();
    void on_down() { stop(); }
    void stop();
    // The delayed set has changed, or a message of this process is due then.
    void delayed_changed();
    void expect(utc_time due);
    // Leaves the holders; when everything was given back.
    void leave(std::function<void()> done);

private:
    void move_due();
    void due_after(std::chrono::milliseconds pause);
    void heartbeat();
    void sweep();
    void take_over(const std::string& dead);
    void bury(const std::string& dead, std::chrono::seconds silent, net::redis::client::told done);

    context& in_;
    watch& changes_;
    restorer& back_;
    std::function<void()> declared_dead_;
    bool up_ = false, moving_ = false;
    steady_time up_since_, due_at_;
    std::optional<net::loop::timer_id> due_, heartbeat_, sweep_;
};

} // namespace carillon::jobs::redis
