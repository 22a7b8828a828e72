// For tests of an application: drives its routes in this process, without a port. What Channels' communicators are to
// a Django team.
//
//     cr::testing::test_site site(urls(shop));
//     cr::testing::websocket_communicator client(site, "/ws/orders/7/");
//     const auto opened = client.connect();
//     REQUIRE(opened.accepted);
//     site.layer().group_send("order_7", cr::event("order.paid", {{"total", 12}})).value();
//     CHECK(client.receive_json()["total"].to_int() == 12);
//
// Everything runs on real threads with the real server code over a pair of connected sockets; each call waits on the
// calling thread, at most `timeout`. A call that got nothing in time throws carillon::error (timed_out).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/bytes.hpp>
#include <carillon/base/limits.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/value.hpp>
#include <carillon/channels/channel_layer.hpp>
#include <carillon/web/routes.hpp>
#include <carillon/web/scope.hpp>

namespace carillon::testing {

// Long, since a machine may be busy and a program sanitized; only failures take it.
inline constexpr std::chrono::milliseconds default_timeout{5'000};
inline constexpr std::chrono::milliseconds silence{100}; // how long receive_nothing() listens

struct test_site_options {
    limits limit;
    std::vector<std::string> allowed_hosts{"localhost", "testserver"}; // requests name the first
    std::uint32_t threads = 1;                                         // shards
    std::uint32_t blocking_threads = 2;                                // of the pool
    channel_layer_options layer;
    logger* log = nullptr; // outlives the site; null says nothing
};

struct http_answer {
    int status = 0;
    name_value_list headers;
    std::string body;
    std::string_view header(std::string_view name) const noexcept; // any case; empty when absent
    value json() const;                                            // errc::invalid when it is none
};

class running_site;

// Routes with a memory layer of their own. Outlives its communicators. Clients seem to come from 127.0.0.1.
class test_site {
public:
    // `make` gets the layer that the routes will use: handlers publish through it.
    explicit test_site(std::function<routes(channel_layer&)> make, test_site_options options = {});
    explicit test_site(routes table, test_site_options options = {});
    test_site(const test_site&) = delete;
    ~test_site();
    channel_layer& layer() noexcept;

private:
    friend class websocket_communicator;
    friend http_answer request_once(test_site&, std::string_view, std::string_view,
                                    std::string_view, const name_value_list&,
                                    std::chrono::milliseconds);
    std::unique_ptr<running_site> running_;
};

// One request and its answer. Host and Content-Length are added unless they are among the headers. Throws errc::closed
// when the server ends the connection before its answer is whole.
http_answer request_once(test_site& site, std::string_view method, std::string_view path,
                         std::string_view body = {}, const name_value_list& headers = {},
                         std::chrono::milliseconds timeout = default_timeout);

struct ws_options {
    name_value_list headers; // Host and an Origin of the site itself are added unless they are here
    std::vector<std::string> subprotocols;
};

// What connect() found. A consumer that closes before it accepts is seen as one that accepts and closes at once: 44xx
// codes must reach the client.
struct connected {
    bool accepted = false;
    std::string subprotocol;      // that the consumer picked
    int status = 0;               // of the HTTP answer: 101 when accepted
    name_value_list headers;      // of the HTTP answer
    std::uint16_t close_code = 0; // when the close frame came together with the acceptance
};

// One WebSocket. Not thread-safe. Answers pings and the server's close frame while it receives. Not more than one
// connection: errc::invalid for a second connect(), and for all other calls before the first.
class websocket_communicator {
public:
    websocket_communicator(test_site& site, std::string path, ws_options options = {});
    websocket_communicator(const websocket_communicator&) = delete;
    // Closes with 1001 if it is still open.
    ~websocket_communicator();

    // Once. Waits for the handshake's answer.
    connected connect(std::chrono::milliseconds timeout = default_timeout);
    // errc::invalid for empty content, as in Channels; errc::closed when the socket is closed.
    void send_text(std::string_view text);
    void send_bytes(bytes_view data);
    void send_json(const value& content);
    // The next message. errc::closed when the server closed instead, errc::invalid when it is of the other kind or no
    // JSON.
    std::string receive_text(std::chrono::milliseconds timeout = default_timeout);
    bytes receive_bytes(std::chrono::milliseconds timeout = default_timeout);
    value receive_json(std::chrono::milliseconds timeout = default_timeout);
    // True when for that long no message comes and the server does not close. What came can still be received.
    bool receive_nothing(std::chrono::milliseconds listening = silence);
    // Waits for the server's close frame and returns its code, or close_code::vanished when the connection ended with
    // none; messages before it are discarded. Asked again it says the same.
    std::uint16_t receive_close(std::chrono::milliseconds timeout = default_timeout);
    // Closes, and waits until the consumer's on_disconnect has run and the consumer is gone. Also after the server
    // closed or refused. close_code::none_given sends no code, close_code::vanished no close frame at all;
    // errc::invalid for what no client may send.
    void disconnect(std::uint16_t code = 1000, std::chrono::milliseconds timeout = default_timeout);

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace carillon::testing
