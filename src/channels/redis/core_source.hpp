// core_source: takes events from a hand-named channel, in competition with every other reader of it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "channels/redis/counters.hpp"
#include "channels/redis/host.hpp"
#include "wire/layer/message.hpp"
#include <carillon/channels/channel_source.hpp>

namespace carillon::channels::redis {

// The part on the I/O thread: one connection to each host, which pops only while somebody waits. An event that nobody
// waits for any more (it came from a second host, or right after a deadline) is kept for the next receive(); when that
// does not come within keep_for, it goes back into its queue at its place.
class core_intake : public std::enable_shared_from_this<core_intake> {
public:
    static constexpr std::chrono::seconds keep_for{1};
    // `key` is that of the channel's queue.
    core_intake(std::string key, const wire::layer::message_codec& codec, std::size_t bytes_max,
                logger& log, layer_counters& counted);
    ~core_intake();

    // --- on the I/O thread ---

    void start(net::loop& on, const std::vector<net::redis::address>& where,
               const std::vector<std::unique_ptr<host>>& hosts);
    // Pops where nothing is under way, when somebody waits.
    void fetch();
    // What is kept goes back; nothing is received any more.
    void close();

    // --- on any thread ---

    // The next event that was popped; waits. `ask` has the I/O thread call fetch().
    std::optional<event> receive(steady_time deadline, const std::function<void()>& ask);
    void interrupt();

private:
    class tap;
    struct kept {
        event e;
        std::size_t host;
        std::string member, score;
    };
    bool wanted();
    void take(std::size_t from, std::string member, std::string score);
    void put_back();

    const std::string key_;
    const wire::layer::message_codec& codec_;
    const std::size_t bytes_max_;
    logger& log_;
    layer_counters& counted_;
    seldom broken_;

    // of the I/O thread
    net::loop* loop_ = nullptr;
    const std::vector<std::unique_ptr<host>>* hosts_ = nullptr;
    std::vector<std::unique_ptr<tap>> taps_;
    std::optional<net::loop::timer_id> put_back_at_;

    std::mutex guard_;
    std::condition_variable came_;
    std::deque<kept> kept_;
    bool waiting_ = false, interrupted_ = false;
};

// What the application holds.
class core_source final : public channel_source {
public:
    // `run` has the I/O thread run something, or drops it when the layer has stopped.
    using runner = std::function<void(std::function<void()>)>;
    core_source(std::shared_ptr<core_intake> from, runner run)
        : from_(std::move(from)), run_(std::move(run)) {}
    ~core_source() override;
    std::optional<event> receive(steady_time deadline) override;
    void interrupt() override { from_->interrupt(); }

private:
    const std::shared_ptr<core_intake> from_;
    const runner run_;
};

} // namespace carillon::channels::redis
