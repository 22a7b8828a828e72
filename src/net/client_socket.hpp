// client_socket: one outgoing connection as a stream of bytes: name look-up, connect, TLS, then bytes both ways.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.hpp"
#include "net/resolver.hpp"
#include "net/socket.hpp"
#include "net/stream.hpp"
#include <carillon/base/result.hpp>

namespace carillon::net {

// On the loop's thread; never from inside open(), outgoing() or flush_soon(). From inside any of them the socket may be
// closed, and its last holder may let go of it.
class client_socket_events {
public:
    virtual void on_open() noexcept = 0; // connected, TLS established
    // Valid during the call.
    virtual void on_bytes(std::string_view received) noexcept = 0;
    // Less than low_water bytes wait to be sent, after it was more.
    virtual void on_room() noexcept {}
    virtual void on_lost(const failure& why) noexcept = 0; // once, and nothing after it

protected:
    ~client_socket_events() = default;
};

// On the loop's thread. Held by shared_ptr, since the loop may still hold it for the rest of a turn; closed before its
// events go. What waits to be sent is bounded by whoever appends it (unsent_bytes()).
class client_socket final : private pollable, public std::enable_shared_from_this<client_socket> {
public:
    static constexpr std::size_t low_water = std::size_t{256} * 1024;

    struct target {
        std::string host; // a name or an address; with TLS, what the certificate must name
        std::uint16_t port = 0;
        std::string path; // of a unix socket, instead of host and port
    };

    // `names` outlives it, and looks up for one socket at a time.
    client_socket(loop& on, resolver& names, client_socket_events& events)
        : loop_(on), names_(names), events_(&events) {}

    // Begins to look up and to connect, once. Every address of a name is tried in turn, each for its share of
    // `timeout`, which is otherwise the caller's to keep.
    void open(target to, std::optional<tls_client_context> tls, std::chrono::milliseconds timeout);
    // What is to be sent: append to it, then call flush_soon(). All that is appended in a turn leaves at its end in one
    // call of the kernel (under TLS in one for each 16 KiB).
    std::string& outgoing();
    void flush_soon();
    // Sends what the kernel takes now, for a last word before close().
    void flush_now() noexcept { flush(); }
    // Reads what has arrived, without waiting for the loop to say so.
    void read_now() noexcept { read(); }
    void close() noexcept; // nothing is told any more
    bool is_open() const noexcept { return state_ == state::open; }
    // What has not come yet, for a log: "no address for its name", "no connection", "no TLS session", "no answer".
    const char* missing() const noexcept;
    std::size_t unsent_bytes() const noexcept { return out_.size() - sent_; }

private:
    enum class state : std::uint8_t {
        idle,
        looking_up,
        connecting,
        shaking_hands,
        open,
        closed,
    };
    void look_up();
    void connect_to(result<std::vector<socket_address>> found);
    void try_next_address() noexcept;
    void address_failed(std::string why) noexcept;
    void drop_socket() noexcept;
    void on_ready(std::uint32_t ready) noexcept override;
    void finish_connect() noexcept;
    void shake_hands() noexcept;
    void read() noexcept;
    void flush() noexcept;
    void sending_failed() noexcept;
    void watch_for(bool writable) noexcept;
    void lost(errc code, std::string why) noexcept;

    loop& loop_;
    resolver& names_;
    client_socket_events* events_;
    target to_;
    std::optional<tls_client_context> tls_;
    steady_time deadline_;
    std::deque<socket_address> addresses_;
    std::optional<loop::timer_id> address_timer_;
    std::optional<stream> stream_;
    std::string out_;
    std::size_t sent_ = 0; // of out_
    state state_ = state::idle;
    bool flush_deferred_ = false;
    bool wants_writable_ = false;
    bool above_ = false; // more than low_water was waiting
};

} // namespace carillon::net
