// link: one connection to one Redis server, from its address to its loss. It knows replies, not commands.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "net/client_socket.hpp"
#include "net/redis/address.hpp"
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

// On the loop's thread. What waits to be sent is bounded by whoever writes (unsent_bytes()), what was received by the
// reply reader's limit. From inside its events it may be closed, and its last holder may let go of it.
class link final : private client_socket_events, public std::enable_shared_from_this<link> {
public:
    // `names` outlives it.
    link(loop& on, resolver& names, link_events& events);
    ~link() { close(); }

    // As client_socket::open().
    void open(const endpoint& to, std::optional<tls_client_context> tls,
              std::chrono::milliseconds timeout);
    // What is written in a turn leaves at its end; nothing before it is open.
    void write(std::string_view bytes);
    void read_now() noexcept { socket_->read_now(); }
    void close() noexcept { socket_->close(); } // nothing is told any more
    void attend(link_events& events) noexcept { events_ = &events; }
    const char* missing() const noexcept { return socket_->missing(); }
    std::size_t unsent_bytes() const noexcept { return socket_->unsent_bytes(); }

private:
    void on_open() noexcept override;
    void on_bytes(std::string_view received) noexcept override;
    void on_lost(const failure& why) noexcept override;

    std::shared_ptr<client_socket> socket_;
    link_events* events_;
    wire::redis::reply_reader reader_;
};

} // namespace carillon::net::redis
