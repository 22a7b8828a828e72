// connection: one socket on one shard, the outbox in front of it, and the protocol behind it.
//
// Lives on its shard's thread from adoption to burial. What is pushed leaves at the end of the turn in one gathered
// write. A connection that has ended stays as a husk while its protocol is busy (a handler waits somewhere), then both
// are buried.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "net/outbox.hpp"
#include "net/shard.hpp"
#include "net/stream.hpp"
#include "net/wheel.hpp"
#include <carillon/base/frame.hpp>

namespace carillon::net {

class connection;

// What is spoken over a connection. Every call comes on the shard's thread.
class protocol {
public:
    virtual ~protocol() = default;
    // Bytes that arrived; they may be changed in place and are valid during the call only.
    virtual void on_bytes(std::span<std::byte> received) = 0;
    // The peer sends no more. By default the connection ends; a protocol that still has to answer overrides this.
    virtual void on_end_of_input();
    // All that had to wait for a slow peer has left; or all that was queued, when connection::report_drained() asked.
    virtual void on_drained() {}
    // The time asked for has come, or an earlier one. Returns the seconds (1 or more) until the next reminder.
    virtual std::uint32_t on_reminder() = 0;
    // The server stops: finish politely and end soon.
    virtual void on_stop() = 0;
    // The connection has ended; nothing can be sent any more. Called once.
    virtual void on_ended() noexcept = 0;
    // True while something of this protocol runs elsewhere and will come back.
    virtual bool busy() const noexcept = 0;

    connection& link() const noexcept { return *link_; }

private:
    friend class connection;
    connection* link_ = nullptr;
};

class connection final : public pollable, public wheel_entry {
public:
    connection(shard& home, unique_fd socket, const tls_context* tls,
               std::unique_ptr<protocol> first);
    ~connection();

    shard& home() const noexcept { return home_; }
    int fd() const noexcept { return stream_.fd(); }
    bool encrypted() const noexcept { return stream_.encrypted(); }
    // Queues a frame. Ignored once the connection is closing or has ended.
    void push(shared_frame frame);
    std::size_t pending_bytes() const noexcept { return outbox_.pending_bytes(); }
    // Forgets what waits, except the rest of a frame of which a part has left.
    void drop_unsent() noexcept { outbox_.drop_unsent(stream_.promised_bytes()); }

    // The seconds of the shard's clock when bytes last arrived, and when the peer stopped taking ours (0: it takes
    // them).
    std::uint32_t last_received() const noexcept { return last_received_; }
    std::uint32_t blocked_since() const noexcept { return blocked_since_; }

    // Has on_drained() called as soon as nothing waits any more, also when the peer was never slow.
    void report_drained() noexcept { report_drained_ = true; }

    // While held, what is pushed waits; also the end that close_after_flush() brings.
    void hold_output(bool held);

    void pause_reading(bool paused);
    bool reading_paused() const noexcept { return paused_; }
    void remind_in(std::uint32_t seconds) { home_.remind(*this, seconds); }

    // Sends what is queued, then ends. `linger` waits for the peer's end first and discards what it still sends, so
    // that a reset does not overtake the answer (RFC 9112 9.6).
    void close_after_flush(bool linger);
    // Ends now; what is queued is lost.
    void end() noexcept;
    bool ended() const noexcept { return ended_; }

    // Changes what is spoken here; the former protocol is destroyed at the end of the turn.
    void become(std::unique_ptr<protocol> next);
    // The protocol is not busy any more: bury, if the connection has ended meanwhile.
    void settle() noexcept;

    // For the shard.
    void adopt();
    void flush() noexcept;
    void read_buffered() noexcept;
    void on_ready(std::uint32_t events) noexcept override;
    void on_due() noexcept;
    void stop() noexcept;

private:
    void read() noexcept;
    void update_interest() noexcept;
    void flushed() noexcept;

    shard& home_;
    stream stream_;
    std::unique_ptr<protocol> protocol_;
    outbox outbox_;
    std::uint32_t last_received_ = 0;
    std::uint32_t blocked_since_ = 0;
    std::uint32_t interest_ = 0;
    std::uint32_t linger_until_ = 0;
    bool dirty_ = false;
    bool paused_ = false;
    bool held_ = false;
    bool report_drained_ = false;
    // it was seen while reading was paused; what came before is still to be read
    bool peer_finished_ = false;
    bool input_over_ = false; // the peer has said that it sends no more, and all was read
    bool closing_ = false;
    bool linger_ = false;
    bool finished_ = false;
    bool ended_ = false;
    bool buried_ = false;
};

template <class F>
void shard::for_each_connection(F&& visit) {
    wheel_.for_each([&](wheel_entry& entry) { visit(static_cast<connection&>(entry)); });
}

} // namespace carillon::net
