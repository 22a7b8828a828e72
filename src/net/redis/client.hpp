// client: one connection to one Redis server, kept up. Connects, signs in, and again with back-off when it is lost;
// pipelines commands; asks Sentinels where the master is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "net/loop.hpp"
#include "net/redis/address.hpp"
#include "wire/redis/reply.hpp"
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/result.hpp>

namespace carillon::net::redis {

struct client_options {
    std::string role = "commands"; // for the log: what this connection is for
    // Another connection of the same owner goes to the same place and says what becomes of it: this one's lines are for
    // debugging.
    bool secondary = false;
    // Name look-up, TCP, TLS and AUTH together; for each Sentinel at most a second of it.
    std::chrono::milliseconds connect_timeout{3'000};
    std::chrono::milliseconds command_timeout{5'000};
    std::chrono::milliseconds backoff_first{50}; // doubled up to backoff_max, with jitter
    std::chrono::milliseconds backoff_max{1'000};
};

// What all clients of one layer or broker count together.
struct client_counters {
    explicit client_counters(metrics& counted);
    // carillon_redis_commands_total, and carillon_redis_command_microseconds_total from sending to the reply, summed:
    // both without commands that have a timeout of their own, since those wait on purpose.
    counter& commands;
    counter& micros;
    // carillon_redis_errors_total: error replies.
    counter& errors;
    // carillon_redis_reconnects_total: connections made after the first one of a client.
    counter& reconnects;
    // carillon_redis_connection_losses_total.
    counter& connection_losses;
};

// Hears of the connection's state, on the loop's thread.
class client_events {
public:
    // Connected, signed in, database selected: commands may be sent. From inside this call they leave before those that
    // anybody sends later.
    virtual void on_up() noexcept = 0;
    // It was up and is lost, or the first attempt failed. Every command under way has been told before. One call for
    // each loss, however many attempts follow.
    virtual void on_down(const failure& why) noexcept = 0;
    // A message of a subscription (lists that begin with message, subscribe, unsubscribe, …).
    virtual void on_push(wire::redis::reply pushed) noexcept { static_cast<void>(pushed); }

protected:
    ~client_events() = default;
};

// Everything on the loop's thread; destroyed before the loop, also from inside any of its calls. `told` and events are
// called from the loop, never from inside start() or send(); by the destructor, errc::cancelled for what is under way.
//
// A reply READONLY, LOADING, MASTERDOWN, CLUSTERDOWN or NOAUTH is told, and then the connection is dropped: this server
// is not the one. An idle connection is asked for a sign of life every few seconds. The log has one line at a loss, one
// at the recovery, and one when the server refuses user, password or database; none for each attempt.
// What was received and is not a whole reply yet is bounded by the reply reader, what waits to be sent by the user.
class client {
public:
    // The reply, an error reply included; or a failure: errc::unavailable when the connection was lost or is not there,
    // errc::timed_out, errc::cancelled when the client is destroyed. The command may have been executed in spite of a
    // failure, unless it was sent while the client was not up. Must not throw.
    using told = std::function<void(result<wire::redis::reply>)>;

    client(loop& on, address where, client_options options, client_events& events, logger& log,
           client_counters& counted);
    client(const client&) = delete;
    ~client();

    void start();
    bool up() const noexcept;
    // Queues a command; all of one turn leave in one write, replies come in order. `timeout` of zero means
    // command_timeout. A command whose reply does not come in time costs the connection: its peer is taken for gone.
    // A command behind another that may take longer has the time of that one.
    void send(const wire::redis::command& what, told done, std::chrono::milliseconds timeout = {});
    // For connections that subscribe: nothing is told, what comes back is pushed, an error reply too. What send() sent
    // before is still told. Ignored while it is not up.
    void send_push(const wire::redis::command& what);
    // Bytes that wait for the server or for its reply; for whoever wants to stop before there are too many.
    std::size_t pending_bytes() const noexcept;
    std::size_t pending_commands() const noexcept; // our own PING included
    // Why it is not up; an empty text when it is.
    const std::string& trouble() const noexcept;
    const address& where() const noexcept;

private:
    class impl;
    std::shared_ptr<impl> impl_; // lives through a call that destroys the client
};

// How another thread ends questions that nobody has answered yet.
class interruption {
public:
    // Any thread: ask() with this returns errc::cancelled, now and from now on.
    void interrupt();

private:
    friend class question;
    std::mutex guard_;
    loop* asking_ = nullptr; // of the question under way
    bool interrupted_ = false;
};

// One connection, one command, blocking: for `check` and tools. At most `timeout` in all. errc::unauthorized: user or
// password are refused; errc::invalid: the address cannot work as it stands; errc::unavailable, errc::timed_out. `by`
// is for one question at a time.
result<wire::redis::reply> ask(const address& where, const wire::redis::command& what,
                               std::chrono::milliseconds timeout, interruption* by = nullptr);

} // namespace carillon::net::redis
