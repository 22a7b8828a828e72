// connection: one AMQP 0-9-1 connection to RabbitMQ on a loop: login, heartbeats, channels, methods in order with their
// replies, contents put together. It knows the protocol, not what it is used for.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/broker/amqp_address.hpp"
#include "jobs/broker/amqp_codec.hpp"
#include "net/client_socket.hpp"
#include "net/loop.hpp"
#include <carillon/base/result.hpp>

namespace carillon::jobs::amqp {

// The answer to a method. `code` is AMQP's (404, 406, …) where the channel was closed over this very method, else 0.
struct reply {
    std::optional<failure> problem;
    std::uint16_t code = 0;
    method got; // valid during the call, where there is no problem
};

// A delivered or a returned message.
struct content {
    bool returned = false;
    std::string consumer_tag; // of a delivery
    std::uint64_t delivery_tag = 0;
    bool redelivered = false;
    std::string reply_text; // of a return
    std::string exchange, routing_key;
    std::string properties, body;
    std::uint64_t body_bytes = 0; // `body` is empty where this is above the limit
};

class channel_events {
public:
    virtual void on_content(content got) noexcept { static_cast<void>(got); }
    virtual void on_confirm(std::uint64_t tag, bool multiple, bool positive) noexcept {
        static_cast<void>(tag), static_cast<void>(multiple), static_cast<void>(positive);
    }
    // The server ended a consumer: its queue was deleted.
    virtual void on_cancelled(std::string_view consumer_tag) noexcept {
        static_cast<void>(consumer_tag);
    }
    // The server closed the channel over an error; calls under way were told before. It may be opened again at once.
    virtual void on_channel_closed(const failure& why) noexcept { static_cast<void>(why); }

protected:
    ~channel_events() = default;
};

class connection_events {
public:
    virtual void on_open() noexcept = 0;
    // RabbitMQ takes nothing that is published any more (an alarm), or, with an empty reason, takes it again.
    virtual void on_blocked(std::string_view reason) noexcept = 0;
    virtual void on_room() noexcept = 0; // few bytes wait to be sent, after there were many
    // It was never open, or is lost; once, and nothing after it. Calls under way are not told.
    virtual void on_closed(const failure& why) noexcept = 0;

protected:
    ~connection_events() = default;
};

struct connection_options {
    std::string purpose; // shown in RabbitMQ's list of connections
    net::tls_client_options tls;
    std::chrono::milliseconds timeout{5'000}; // from the look-up to the end of the login
    std::chrono::seconds heartbeat{30};       // zero: none of ours
    std::size_t message_bytes_max = std::size_t{64} << 20;
};

// Everything on the loop's thread. Not destroyed from inside its own calls.
class connection final : private net::client_socket_events {
public:
    static constexpr std::size_t channels = 4; // numbers 1 to 3
    using told = std::function<void(const reply&)>;

    connection(net::loop& on, endpoint where, connection_options options,
               connection_events& events);
    connection(const connection&) = delete;
    ~connection();

    void open();
    bool is_open() const noexcept { return state_ == state::open; }
    void open_channel(std::uint16_t channel, channel_events& events);
    // Sends a method that is answered; replies come in the order of the calls.
    void call(std::uint16_t channel, amqp_method_number_t number, const void* fields, told done);
    void send(std::uint16_t channel, amqp_method_number_t number, const void* fields);
    void publish(std::uint16_t channel, std::string_view exchange, std::string_view routing_key,
                 bool mandatory, std::string_view properties, std::string_view body);
    std::size_t unsent_bytes() const noexcept { return client_->unsent_bytes(); }
    std::string name() const { return where_.name(); } // of the server, without secrets
    // Says goodbye, so that the server has read everything; `done` once, when it has, is gone or `patience` is over.
    void close(std::chrono::milliseconds patience, std::function<void()> done);
    void abandon() noexcept; // closes at once; nothing is told any more

private:
    enum class state : std::uint8_t { dialing, login, open, closing, closed };
    struct call_under_way {
        amqp_method_number_t expected;
        told done;
    };
    struct channel_state {
        channel_events* events = nullptr;
        std::deque<call_under_way> calls;
        std::optional<content> partial;
        bool header_seen = false;
        std::uint64_t left = 0; // of the body, in bytes
    };

    void on_open() noexcept override;
    void on_bytes(std::string_view received) noexcept override;
    void on_room() noexcept override { events_.on_room(); }
    void on_lost(const failure& why) noexcept override;

    bool take(const frame& f); // false where it breaks the protocol
    bool take_method(std::uint16_t channel, std::string_view payload);
    bool take_connection_method(const method& m);
    bool take_channel_method(std::uint16_t number, channel_state& c, const method& m);
    bool take_reply(channel_state& c, const method& m);
    void begin_content(channel_state& c, const method& m);
    bool take_header(channel_state& c, std::string_view payload);
    bool take_body(channel_state& c, std::string_view payload);
    void finish_content(channel_state& c);
    bool start(const amqp_connection_start_t& offered);
    void tune(const amqp_connection_tune_t& offered);
    void server_closes(const amqp_connection_close_t& said);
    void close_channel(std::uint16_t number, const amqp_channel_close_t& said);
    void beat();
    void cancel_timer() noexcept;
    void lost(failure why) noexcept;
    void finish_close();

    net::loop& loop_;
    endpoint where_;
    connection_options options_;
    connection_events& events_;
    net::resolver names_;
    std::shared_ptr<net::client_socket> client_;
    frame_reader reader_;
    arena storage_;
    std::array<channel_state, channels> channels_;
    state state_ = state::dialing;
    bool said_password_ = false;
    std::size_t frame_max_ = frame_bytes_wanted;
    std::chrono::milliseconds heartbeat_{0};
    bool sent_ = false; // since the last beat
    steady_time last_received_;
    std::optional<net::loop::timer_id> timer_; // of the login, the heartbeat or the goodbye
    std::function<void()> closed_;
};

} // namespace carillon::jobs::amqp
