// link: one connected socket to one Redis server, from connect() to the loss. It knows bytes and replies, not commands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/loop.hpp"
#include "net/socket.hpp"
#include "net/stream.hpp"
#include "wire/redis/reply.hpp"
#include <carillon/base/result.hpp>

namespace carillon::net::redis {

class link_events {
public:
    virtual void on_open() noexcept = 0; // connected, TLS established
    virtual void on_reply(wire::redis::reply got) noexcept = 0;
    // Once, and nothing after it; never from inside open(), write() or close().
    virtual void on_lost(const failure& why) noexcept = 0;

protected:
    ~link_events() = default;
};

// On the loop's thread. Held by shared_ptr, since the loop may still hold it for the rest of a turn.
// What waits to be sent is bounded by whoever writes (unsent_bytes()), what was received by the reply reader's limit.
class link final : private pollable, public std::enable_shared_from_this<link> {
public:
    link(loop& on, link_events& events) : loop_(on), events_(&events) {}

    // Begins to connect. With `tls`, the certificate must name `host`, unless the context verifies nothing.
    result<void> open(const socket_address& to, const tls_client_context* tls,
                      const std::string& host);
    // What is written in a turn leaves at its end in one call of the kernel (under TLS in one for each 16 KiB).
    void write(std::string_view bytes);
    // Reads what has arrived, without waiting for the loop to say so.
    void read_now() noexcept { read(); }
    void close() noexcept; // nothing is told any more
    void attend(link_events& events) noexcept { events_ = &events; }
    // What has not come yet, for a log: "no connection", "no TLS session", "no answer".
    const char* missing() const noexcept;
    std::size_t unsent_bytes() const noexcept { return out_.size() - sent_; }

private:
    enum class state : std::uint8_t { idle, connecting, shaking_hands, open, closed };
    void on_ready(std::uint32_t ready) noexcept override;
    void finish_connect() noexcept;
    void shake_hands() noexcept;
    void read() noexcept;
    bool take(std::string_view received) noexcept; // false when this is closed
    void flush() noexcept;
    void sending_failed() noexcept;
    void watch_for(bool writable) noexcept;
    void lost(errc code, std::string why) noexcept;

    loop& loop_;
    link_events* events_;
    std::optional<stream> stream_;
    wire::redis::reply_reader reader_;
    std::string out_;
    std::size_t sent_ = 0; // of out_
    state state_ = state::idle;
    bool flush_deferred_ = false;
    bool wants_writable_ = false;
};

} // namespace carillon::net::redis
