// core_reader: takes the messages of this process' queue from one host.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channels/redis/counters.hpp"
#include "channels/redis/credits.hpp"
#include "net/redis/client.hpp"

namespace carillon::channels::redis {

// On the I/O thread. Each message is taken at most once. One that comes alone is taken at once. Where several came
// together of late, and each goes to 500 consumers or more, the next one waits for those behind it: for one more round
// trip, and for two milliseconds while there are fewer than three quarters as many. They are handed on in one turn, so
// that each consumer's connection is written to once.
class core_reader final : private net::redis::client_events {
public:
    struct handlers {
        // In the queue's order.
        std::function<void(std::string_view message, std::shared_ptr<void> credit)> take;
        std::function<std::int64_t()> delivered; // events to consumers so far, all together
        std::function<void()> up;                // connected
        std::function<void()> lost;              // or the first attempt failed
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
    void on_down(const failure&) noexcept override {
        end_group();
        tell_.lost();
    }
    void on_first(result<wire::redis::reply> answer);
    void ask_for_more();
    void on_more(std::size_t reserved, result<wire::redis::reply> answer);
    void hold(std::string message);
    void give();
    void end_group();
    void look_at_reach();
    bool gathers() const noexcept;
    void pause(std::string_view why);

    net::loop& loop_;
    const std::string key_;
    credits& allowance_;
    const handlers tell_;
    layer_counters& counted_;
    seldom failed_;
    bool waiting_ = false;          // a blocking command is under way
    std::vector<std::string> held_; // came, and are not handed on yet
    std::size_t group_ = 0;         // messages of the group that comes
    std::size_t expected_ = 1;      // so many come in a group of late
    std::int64_t reach_ = 0;        // consumers that one message goes to, of late
    std::int64_t received_then_ = 0, delivered_then_ = 0;
    std::size_t largest_ = 1; // bytes of the largest message of late
    std::optional<net::loop::timer_id> pause_, patience_;
    std::unique_ptr<net::redis::client> client_;
};

} // namespace carillon::channels::redis
