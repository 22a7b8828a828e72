// host: one server of the layer, its command connection, and the orders that wait while it is away.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "channels/redis/counters.hpp"
#include "channels/redis/redis_layer.hpp"
#include "net/redis/client.hpp"

namespace carillon::channels::redis {

// What became of an order.
struct order_end {
    enum class how : std::uint8_t {
        answered,    // `answer` is what the server replied, an error perhaps
        dropped,     // it was never sent: expired, refused, or the layer stops
        unconfirmed, // it was sent, and the connection was lost: the server may have done it
    };
    how what = how::dropped;
    wire::redis::reply answer;
    failure why; // not for `answered`
};

// A command that waits for its server.
struct order {
    // Made when it is sent, so that what waits stays small; again when it is sent again.
    std::function<wire::redis::command()> make;
    std::function<void(const order_end&)> done; // once, on the I/O thread
    // It may be sent again when no reply came: doing it twice is doing it once. Others are sent at most once, except
    // after replies that say that the server did not do it (READONLY and its like).
    bool repeatable = false;
    std::uint32_t events = 0; // for the log: how many events are lost with it
    steady_time expires = steady_time::max();
    // It needs what other processes have at the server: it waits while the host settles. All of these leave in the
    // order of calls, and so do all others.
    bool needs_others = false;
};

class host;

// On the I/O thread.
class host_events {
public:
    // Connected, and the server has said which one it is. What restores memberships goes out by host::send_now();
    // host::release() follows when that was acknowledged, and until then all orders wait.
    virtual void on_restore(host& of) noexcept = 0;
    // After release(). Orders leave, but for those that wait until the host has settled.
    virtual void on_ready(host& of) noexcept = 0;
    // All orders leave from now on: right after on_ready(), or when the time to settle is over.
    virtual void on_settled(host& of) noexcept { static_cast<void>(of); }
    // The connection is lost, or the first attempt failed. Orders that may be sent again are back in their places.
    virtual void on_lost(host& of) noexcept = 0;

protected:
    ~host_events() = default;
};

struct host_options {
    static host_options of(const redis_layer_options& layer, std::size_t index);
    std::size_t index = 0;
    std::chrono::milliseconds send_timeout{5'000};
    std::chrono::milliseconds settle_time{1'000};
    net::redis::client_options connection;
    // Sent and not answered: above, orders wait here.
    std::size_t under_way_max = 256;
    std::size_t under_way_bytes_max = 8u << 20;
};

class host final : private net::redis::client_events {
public:
    host(net::loop& on, net::redis::address where, host_options options, host_events& events,
         logger& log, layer_counters& counted);
    host(const host&) = delete;
    ~host();

    // --- on the I/O thread ---

    void start();
    // Orders leave in the order of calls.
    void put(order what);
    // Past the orders that wait, while connected. A command that fails to be answered was lost with the connection.
    void send_now(const wire::redis::command& what, net::redis::client::told done);
    // Orders that need others wait for `settle` more, since other processes may not have put back yet what they had at
    // the server. A time to settle that a loss or hold() interrupted begins anew with the next release. Ignored before
    // on_restore().
    void release(std::chrono::milliseconds settle);
    // How long others may need when all of them have lost the server, or what it knew.
    std::chrono::milliseconds settle_time() const noexcept { return options_.settle_time; }
    // The same when all were cut off as this process was: they come back about as late as it did.
    std::chrono::milliseconds settle_time_after_cut() const noexcept;
    // From on_restore() to release(): this server was restarted or has taken the place of another one, as far as it
    // tells; also the first one of all, when it was not there at once.
    bool is_another() const noexcept { return another_; }
    // Orders wait again until the next release(), though this connection is up.
    void hold(std::string why);
    // Every order is told and the connection is closed. Nothing is called afterwards.
    void close();
    // From on_restore() to the loss.
    bool connected() const noexcept { return met_ && client_ && client_->up(); }
    std::size_t waiting() const noexcept {
        return waiting_.size() + held_.size() + under_way_.size();
    }

    // --- on any thread ---

    std::size_t index() const noexcept { return options_.index; }
    bool ready() const noexcept { return ready_.load(std::memory_order_relaxed); }
    // It has been away for longer than events may wait: nothing shall be sent to it. Counts the refusal for the log.
    bool refuses() noexcept;
    // Why it is not ready; empty when it is.
    std::string trouble() const;
    // Without secrets.
    const std::string& name() const noexcept { return name_; }

private:
    void on_up() noexcept override;
    void on_down(const failure& why) noexcept override;
    void meet(const wire::redis::reply& info);
    void stand_still();
    void begin_to_settle();
    void end_to_settle() noexcept;
    void take_back();
    void pump();
    void send(std::shared_ptr<order> what);
    void settle(const std::shared_ptr<order>& what, result<wire::redis::reply> answer);
    void expire();
    void watch_time();
    void tell_of_recovery();
    void set_trouble(std::string why);

    net::loop& loop_;
    const host_options options_;
    const std::string name_;
    host_events& events_;
    logger& log_;
    layer_counters& counted_;
    std::unique_ptr<net::redis::client> client_;

    std::deque<std::shared_ptr<order>> waiting_, under_way_, returned_;
    std::deque<std::shared_ptr<order>> held_; // while it settles: those that need others
    std::optional<net::loop::timer_id> timer_;
    std::optional<net::loop::timer_id> settle_timer_;
    // Of the server that was met last; empty when it does not tell.
    std::optional<std::string> run_id_;
    bool met_ = false; // on this connection
    bool another_ = false;
    std::chrono::milliseconds unsettled_{}; // how long other processes may still be missing
    steady_time away_since_{};
    bool failing_ = false; // an order failed on this connection
    bool closed_ = false;
    std::int64_t lost_ = 0;  // events of this outage that were dropped or stayed unconfirmed
    bool drop_told_ = false; // in this outage
    bool was_lost_ = false;  // there is an outage to tell the end of

    std::atomic<bool> ready_{false}, refusing_{false};
    std::atomic<std::int64_t> refused_{0};
    mutable std::mutex guard_;
    std::string trouble_ = "not connected yet";
};

// An order of a command that is made already.
std::function<wire::redis::command()> made(wire::redis::command what);

} // namespace carillon::channels::redis
