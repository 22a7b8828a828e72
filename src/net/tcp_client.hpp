// tcp_client: one outgoing connection as a stream of bytes: name look-up, connect, TLS, then bytes both ways.
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

// On the loop's thread; never from inside open() or flush_soon().
class tcp_client_events {
public:
    virtual void on_open() noexcept = 0; // connected, TLS established
    // Valid during the call. The client may be closed from inside.
    virtual void on_bytes(std::string_view received) noexcept = 0;
    // Less than low_water bytes wait to be sent, after it was more.
    virtual void on_room() noexcept {}
    virtual void on_lost(const failure& why) noexcept = 0; // once, and nothing after it

protected:
    ~tcp_client_events() = default;
};

// On the loop's thread. Held by shared_ptr, since the loop may still hold it for the rest of a turn.
class tcp_client final : private pollable, public std::enable_shared_from_this<tcp_client> {
public:
    static constexpr std::size_t low_water = std::size_t{256} * 1024;

    tcp_client(loop& on, tcp_client_events& events) : loop_(on), events_(&events), names_(on) {}

    // Begins to look up and to connect, once. Every address of the name is tried in turn, each for its share of
    // `timeout`, which is otherwise the caller's to keep. With `tls`, the certificate must name `host`.
    void open(std::string host, std::uint16_t port, std::optional<tls_client_context> tls,
              std::chrono::milliseconds timeout);
    // What is to be sent: append to it, then call flush_soon(). All that is appended in a turn leaves at its end.
    std::string& outgoing();
    void flush_soon();
    // Sends what the kernel takes now, for a last word before close().
    void flush_now() noexcept { flush(); }
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
    tcp_client_events* events_;
    resolver names_;
    std::string host_;
    std::uint16_t port_ = 0;
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
