// Listening sockets, and the server that spreads what they accept over its shards.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/socket.h>

#include "net/connection.hpp"
#include "net/shard.hpp"
#include <carillon/base/result.hpp>

namespace carillon::net {

// A parsed address to listen on: "HOST:PORT", "[::1]:PORT", ":PORT" (loopback) or "unix:PATH". Port 0 picks a free one.
struct bind_address {
    std::string host; // empty for a unix socket
    std::uint16_t port = 0;
    std::string path; // of the unix socket
    bool loopback() const;
};
result<bind_address> parse_bind_address(const std::string& text);

// A bound and listening socket; a unix socket's file is removed at the end.
class listener {
public:
    // errc::unavailable says what is in the way: the port is taken, the permission is missing; and which `option` of
    // the program chooses another address.
    static result<listener> open(const bind_address& address, std::string_view option = "--bind");
    listener(listener&& other) noexcept;
    ~listener();
    int fd() const noexcept { return fd_.get(); }
    // "127.0.0.1:8000" with the port that was really bound, or "unix:PATH".
    std::string name() const;

private:
    listener(unique_fd fd, bind_address where) : fd_(std::move(fd)), where_(std::move(where)) {}
    unique_fd fd_;
    bind_address where_;
};

// Who is at the other end, as accept() told.
class peer_name {
public:
    explicit peer_name(const sockaddr_storage& address) noexcept;
    // 127.0.0.1 without a port.
    static peer_name loopback() noexcept;
    // "127.0.0.1" and its port; an empty text and 0 for a unix socket.
    std::string address() const;
    std::uint16_t port() const noexcept { return port_; }

private:
    std::array<std::byte, 16> bytes_{};
    std::uint16_t port_ = 0;
    std::uint16_t family_ = 0;
};

// Makes the protocol that a fresh connection speaks first. Called on the connection's shard.
using protocol_factory = std::function<std::unique_ptr<protocol>(const peer_name&)>;

// N shards, each a thread, that share the listening sockets. A shard keeps what it accepts unless another has clearly
// fewer connections.
class server {
public:
    server(std::uint32_t threads, const environment& shared, std::vector<listener> listeners,
           const tls_context* tls, protocol_factory first_protocol);
    server(const server&) = delete;
    ~server();

    std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(shards_.size()); }
    shard& at(std::uint32_t i) const noexcept { return *shards_[i]; }
    const std::vector<listener>& listeners() const noexcept { return listeners_; }
    std::uint32_t connections() const noexcept;

    // Makes the process ignore SIGPIPE.
    void start();
    // Any thread, between start() and stop(): serves a connected stream socket that does not block, as if it had been
    // accepted from `who`. False above limits::connections_max: it is closed.
    bool adopt(unique_fd connected, const peer_name& who);
    // Any thread but a shard's: stops accepting, asks every connection to finish, waits at most limits::drain_timeout,
    // then cuts what is left and joins the threads. The second call does nothing.
    void stop();

private:
    class intake;
    shard& least_loaded() const noexcept;
    bool take(unique_fd connected, const peer_name& who, shard* nearest);
    void settle_in(shard& target, unique_fd connected, const peer_name& who);

    const environment& shared_;
    const tls_context* tls_;
    protocol_factory first_protocol_;
    std::vector<listener> listeners_;
    std::vector<std::unique_ptr<shard>> shards_;
    std::vector<std::unique_ptr<intake>> intakes_; // one per shard and listener
    std::vector<std::thread> threads_;
    counter& accepted_;
    counter& refused_;
    bool stopped_ = false;
};

} // namespace carillon::net
