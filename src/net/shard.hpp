// shard: a thread with its loop, its connections and what they share. Nothing here is thread-safe but post() and the
// counts.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "net/blocking_pool.hpp"
#include "net/loop.hpp"
#include "net/outgoing.hpp"
#include "net/wheel.hpp"
#include <carillon/base/limits.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>

namespace carillon::net {

class connection;

// What all shards of one server share and none changes.
struct environment {
    limits limit;
    logger& log;
    metrics& counted;
    blocking_pool& pool;
};

class shard {
public:
    shard(std::uint32_t index, const environment& shared);
    shard(const shard&) = delete;
    ~shard();

    std::uint32_t index() const noexcept { return index_; }
    const environment& shared() const noexcept { return shared_; }
    const limits& limit() const noexcept { return shared_.limit; }
    loop& events() noexcept { return loop_; }

    // Whole seconds since the shard started: the clock of the wheel and of activity stamps. Refreshed once a turn.
    std::uint32_t second() const noexcept { return second_; }
    // Where every connection of this shard reads into; its content lives until the handler returns.
    std::span<std::byte> scratch() noexcept { return {scratch_.get(), scratch_bytes}; }

    // --- for connections ---
    void adopt(std::unique_ptr<connection> newcomer);
    void remind(connection& who, std::uint32_t after_seconds);
    // unless that comes earlier anyway
    void remind_by(connection& who, std::uint32_t after_seconds);
    void mark_dirty(connection& who) { dirty_.push_back(&who); }
    void bury(connection& dead) { dead_.push_back(&dead); }
    // Has it read what its TLS session holds decrypted already, soon and outside of what runs now.
    void read_soon(connection& who);
    // Asks every connection to finish, those that come later too.
    void stop_connections();

    // Called on the shard's thread with the descriptor of each connection that ended and was destroyed, its protocol
    // with it; the descriptor may be another's already. Set before run().
    void on_burial(std::function<void(int)> told) { burial_ = std::move(told); }

    // Calls `visit(connection&)` for every live connection.
    template <class F>
    void for_each_connection(F&& visit);

    // Any thread: how many connections live here.
    std::uint32_t connections() const noexcept { return count_.load(std::memory_order_relaxed); }
    void reserve_connection() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
    void release_connection() noexcept { count_.fetch_sub(1, std::memory_order_relaxed); }

    // The shard whose thread this is, or null.
    static shard* current() noexcept;

    // Serves until events().stop().
    void run();

private:
    static constexpr std::size_t scratch_bytes = 64 * 1024;
    void end_turn();
    void tick();
    void read_again();

    const std::uint32_t index_;
    const environment& shared_;
    loop loop_;
    wheel wheel_;
    steady_time started_;
    std::uint32_t second_ = 0;
    bool ticking_ = false;
    std::unique_ptr<std::byte[]> scratch_;
    bool stopping_ = false;
    std::vector<connection*> dirty_, dead_, rereads_;
    outgoing outgoing_; // sent at the end of each turn
    std::function<void(int)> burial_;
    std::atomic<std::uint32_t> count_{0};
};

// Has `target` run the work soon, never before the return; in the order of calls for each calling thread. From a shard
// or an io_thread it goes with everything else of this turn.
template <class F>
void hand_over(shard& target, F work) {
    if (&target == shard::current())
        target.events().defer(std::move(work));
    else if (auto* gathering = outgoing::current())
        gathering->add(target.events(), as_posted(std::move(work)));
    else
        target.events().post(std::move(work));
}

} // namespace carillon::net
