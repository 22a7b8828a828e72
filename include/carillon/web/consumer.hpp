// consumer: the object behind one WebSocket. Channels' consumer classes, in C++.
//
// A consumer lives on one shard. Its handlers run strictly one after the other: while one waits, client messages and
// events queue up (limits::mailbox_…). What never waits is a plain function: send, join, close take effect at once.
#pragma once

#include <array>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <carillon/base/task.hpp>
#include <carillon/base/value.hpp>
#include <carillon/channels/channel_layer.hpp>
#include <carillon/channels/event.hpp>
#include <carillon/web/scope.hpp>

namespace carillon {

namespace web {
class ws_session;
}

// WebSocket close codes (RFC 6455 7.4.1, and the application's own from 4000): docs/errors.md.
namespace close_code {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t not_utf8 = 1007;
inline constexpr std::uint16_t policy = 1008;
inline constexpr std::uint16_t too_big = 1009;
inline constexpr std::uint16_t server_error = 1011;
inline constexpr std::uint16_t restart = 1012;
inline constexpr std::uint16_t try_later = 1013;
inline constexpr std::uint16_t not_signed_in = 4401;
inline constexpr std::uint16_t not_allowed = 4403;
inline constexpr std::uint16_t no_such_object = 4404;
inline constexpr std::uint16_t too_slow = 4408;
// Never on the wire: what on_disconnect hears when the peer gave no code, or vanished.
inline constexpr std::uint16_t none_given = 1005;
inline constexpr std::uint16_t vanished = 1006;
} // namespace close_code

// A client's message. Owns its text or bytes.
struct message {
    bool is_text = true; // else binary
    std::string payload; // valid UTF-8 when is_text
};

// What consumer::join returns. To await it is to wait until the membership holds for everybody who sends to the group,
// on other nodes too; at once with the memory layer. Not to await it is fine: what is sent to the client after join()
// leaves only then, so a client that was answered misses nothing.
class joined {
public:
    explicit joined(web::ws_session& session) noexcept : session_(session) {}
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> waiting) const;
    void await_resume() const noexcept {}

private:
    web::ws_session& session_;
};

class consumer {
public:
    consumer() = default;
    consumer(const consumer&) = delete;
    consumer& operator=(const consumer&) = delete;
    virtual ~consumer() = default;

protected:
    // The handshake is sound and the origin allowed; decide. Must end in accept(), deny() or close(), at the latest
    // when its task ends; the default accepts. `asked` lives until the task has ended.
    virtual task<> on_connect(const scope& asked);
    virtual task<> on_receive(message received);
    // Once, after on_connect has ended and the socket is closed. Nothing can be sent any more.
    virtual task<> on_disconnect(std::uint16_t code);

    // --- the client. Ignored when it has gone. ---

    // Completes the handshake. The subprotocol must be one that the client offered.
    void accept(std::string_view subprotocol = {}, const name_value_list& headers = {});
    // Refuses the handshake with an HTTP status, before accept().
    void deny(int status = 403);
    // A text frame. What is not valid UTF-8 becomes U+FFFD.
    void send(std::string_view text);
    void send(const char* text) { send(std::string_view(text)); }
    // The JSON of a value, as a text frame.
    void send_json(const value& content);
    void send_bytes(bytes_view data);
    // The message, of its own kind.
    void send(const message& same) {
        same.is_text ? send(same.payload) : send_bytes(as_bytes(same.payload));
    }
    // An event, or what `shown` selects of it: encoded once, however many consumers send it. `shown` must live as
    // long as the program.
    void send(const event& e, const projection& shown = whole_event);
    // its address would soon be another's
    void send(const event& e, const projection&& shown) = delete;
    // `{"type":"error","data":{"code":…,"message":…}}`, for a message that cannot be used.
    void send_error(std::string_view code, std::string_view text);
    // Closes. Before accept() the handshake is completed first, since a browser cannot see why it was refused.
    void close(std::uint16_t code = close_code::normal, std::string_view reason = {});

    // --- the channel layer ---

    // What this process sends to the group after the return is handled here; what others send, once the result was
    // awaited (on the consumer's shard). Throws carillon::error (invalid) for a malformed name or above
    // limits::groups_max.
    joined join(std::string_view group);
    void leave(std::string_view group);
    channel_layer& layer() const noexcept;
    // This consumer's own channel, for channel_layer::send. Made on first need.
    const std::string& channel_name();

private:
    friend class web::ws_session;
    friend class blocking_consumer;
    web::ws_session* session_ = nullptr;
};

// A consumer whose client speaks JSON.
class json_consumer : public consumer {
protected:
    virtual task<> on_json(value received) = 0;

private:
    // Answers what is no JSON text with an error message; the socket stays open.
    task<> on_receive(message received) final;
};

// A consumer whose handlers may block: they run on a thread of the blocking pool, one after the other.
class blocking_consumer : public consumer {
protected:
    virtual void connect(const scope& asked);
    virtual void receive(message received);
    virtual void disconnect(std::uint16_t code);

private:
    template <class C>
    friend struct event_handler_of;
    task<> on_connect(const scope& asked) final;
    task<> on_receive(message received) final;
    task<> on_disconnect(std::uint16_t code) final;
    using blocking_call = void (*)(consumer&, const event&, const std::array<std::byte, 16>&);
    static task<> on_thread(blocking_consumer& self, event e, blocking_call call,
                            std::array<std::byte, 16> bound);
};

// How a consumer class handles one event type.
struct event_handler {
    std::string type;                  // dots as underscores
    std::array<std::byte, 16> bound{}; // the member function
    task<> (*call)(consumer&, const event&, const std::array<std::byte, 16>&) = nullptr;
};
using event_handlers = std::vector<event_handler>;

template <class C>
struct event_handler_of {
    template <class M>
    static M unbound(const std::array<std::byte, 16>& bound) noexcept {
        M member;
        std::memcpy(&member, bound.data(), sizeof member);
        return member;
    }
    using quick = void (C::*)(const event&);
    using slow = task<> (C::*)(event);

    static task<> call_quick(consumer& self, const event& e,
                             const std::array<std::byte, 16>& bound) {
        (static_cast<C&>(self).*unbound<quick>(bound))(e);
        return {};
    }
    static task<> call_slow(consumer& self, const event& e,
                            const std::array<std::byte, 16>& bound) {
        return (static_cast<C&>(self).*unbound<slow>(bound))(e);
    }
    static void block(consumer& self, const event& e, const std::array<std::byte, 16>& bound) {
        (static_cast<C&>(self).*unbound<quick>(bound))(e);
    }
    static task<> call_blocking(consumer& self, const event& e,
                                const std::array<std::byte, 16>& bound) {
        return blocking_consumer::on_thread(static_cast<C&>(self), e, &block, bound);
    }
};

// One line of a consumer class's `static event_handlers events()`:
//     return {cr::on("progress_update", &report_progress::progress_update)};
// The member takes `const event&` and never waits, or takes `event` and is a coroutine. A blocking_consumer's runs on a
// thread.
template <class C>
event_handler on(std::string_view event_type, void (C::*member)(const event&)) {
    event_handler made{handler_name(event_type)};
    static_assert(sizeof member <= sizeof made.bound);
    std::memcpy(made.bound.data(), &member, sizeof member);
    if constexpr (std::derived_from<C, blocking_consumer>)
        made.call = &event_handler_of<C>::call_blocking;
    else
        made.call = &event_handler_of<C>::call_quick;
    return made;
}
template <class C>
event_handler on(std::string_view event_type, task<> (C::*member)(event)) {
    event_handler made{handler_name(event_type)};
    static_assert(sizeof member <= sizeof made.bound);
    std::memcpy(made.bound.data(), &member, sizeof member);
    made.call = &event_handler_of<C>::call_slow;
    return made;
}

} // namespace carillon
