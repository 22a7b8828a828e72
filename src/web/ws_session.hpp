// ws_session: one WebSocket from handshake to burial: frames in, a consumer's handlers one after the other, frames out.
//
// Lives on its shard's thread. Everything that only a busy or unusual connection needs (mailbox, scope, channel name,
// slow-client state) is behind one pointer, so that an idle one stays small.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "channels/group_table.hpp"
#include "net/connection.hpp"
#include "web/site.hpp"
#include "wire/ws/handshake.hpp"
#include "wire/ws/receiver.hpp"
#include <carillon/base/task.hpp>
#include <carillon/web/consumer.hpp>

namespace carillon::web {

class ws_session final : public net::protocol, public channels::subscriber, private completion {
public:
    // A sound handshake for a route. The consumer's on_connect runs in begin().
    ws_session(site& shared, const route& matched, scope asked, wire::ws::handshake offered);
    ~ws_session() override;

    // Once, when this is the connection's protocol. `early` is what the client sent after its handshake.
    void begin(std::span<std::byte> early);

    // --- net::protocol ---
    void on_bytes(std::span<std::byte> received) override;
    void on_end_of_input() override;
    void on_drained() override;
    std::uint32_t on_reminder() override;
    void on_stop() override;
    void on_ended() noexcept override;
    bool busy() const noexcept override { return busy_ || joining_ > 0; }

    // --- channels::subscriber ---
    void on_event(const event& e, const std::shared_ptr<void>& slot) noexcept override;

    // --- for the consumer; on any thread: elsewhere than on the shard they are carried there in order ---
    void accept(std::string_view subprotocol, const name_value_list& headers);
    void deny(int status);
    void send_text(std::string_view text);
    void send_binary(bytes_view data);
    void send_event(const event& e, const projection& shown);
    void close(std::uint16_t code, std::string_view reason);
    void join(std::string_view group);
    void leave(std::string_view group);
    // Whether every membership holds, for everybody who sends to its group.
    bool joined() const noexcept { return joining_ == 0; }
    // Resumes the handler, on the shard, once joined() holds. One handler at a time.
    void when_joined(std::coroutine_handle<> waiting) { more().waiting_for_joins = waiting; }
    const std::string& channel_name();
    const site& shared() const noexcept { return site_; }

private:
    enum class phase : std::uint8_t {
        connecting, // on_connect runs
        open,
        // our close frame is on its way; nothing is handled any more, but what the peer sent before its own
        closing,
        gone // the connection has ended
    };
    struct waiting_event {
        event e;
        std::shared_ptr<void> slot;
        steady_time since;
    };
    // Of a slow client on a conflating route: what it gets when it has caught up.
    struct newest_event {
        std::string key;
        event e;
        const projection* shown;
    };
    struct extras {
        scope asked; // until on_connect has ended
        wire::ws::handshake offered;
        // owns nothing while empty, unlike a deque
        std::list<std::variant<message, waiting_event>> mailbox;
        std::size_t mailbox_bytes = 0; // of client messages, with what each costs to keep
        std::uint32_t mailbox_events = 0;
        std::vector<newest_event> newest;
        std::string channel;
        bytes early; // what came before accept()
        std::coroutine_handle<> waiting_for_joins;
    };

    // What a waiting message costs: without its own share, empty ones would cost nothing and come without end.
    static std::size_t cost_of(const message& waiting) noexcept {
        return waiting.payload.size() + 2 * sizeof waiting;
    }

    void completed(std::exception_ptr thrown) noexcept override;
    shard_tools& tools() const noexcept { return site_.tools_of(link().home()); }
    extras& more();
    void shrink() noexcept;
    bool elsewhere() const noexcept { return net::shard::current() != &link().home(); }
    template <class F>
    void on_shard(F work);

    void run(task<> handler) noexcept;
    void after_handler() noexcept;
    void pump() noexcept;
    void handle_next() noexcept;
    void handle_event(const event& e) noexcept;
    void unhandled(const event& e) noexcept;
    void failed(std::exception_ptr thrown) noexcept;
    void finish_connect() noexcept;
    void run_disconnect() noexcept;
    bool handles_messages() const noexcept { return phase_ == phase::open || peer_left_; }

    void receive(std::span<std::byte> received);
    void received_message(bool is_text, bytes_view payload);
    void peer_closed(std::uint16_t code);
    void refused(std::uint16_t code, const char* why);
    void push(shared_frame frame);
    bool conflated(const event& e, const projection& shown);
    void close_as_slow();
    void begin_closing(std::uint16_t code, std::string_view reason, bool linger);
    bool compresses(std::size_t text_bytes) const noexcept;
    void update_reading();
    void join_completed();

    site& site_;
    const route& route_;
    std::unique_ptr<consumer> consumer_;
    std::unique_ptr<extras> extras_;
    task<> running_;
    std::exception_ptr thrown_;
    std::optional<wire::ws::receiver> receiver_; // from accept() on
    std::uint32_t pinged_ = 0; // second of the ping that waits for a sign of life; 0: none
    // second since when more than outbox_bytes_soft waits; 0: less does
    std::uint32_t slow_since_ = 0;
    std::uint16_t close_code_ = close_code::vanished;
    std::uint16_t joining_ = 0;    // memberships that the layer's server does not know yet
    std::uint8_t window_bits_ = 0; // of permessage-deflate; 0: not agreed on
    phase phase_ = phase::connecting;
    bool accepted_ = false;
    bool busy_ = false;     // a handler waits, or its end has not been dealt with
    bool starting_ = false; // run() is inside the handler: its end is dealt with there
    bool finished_ = false; // the handler that run() started has ended
    bool pumping_ = false;
    bool disconnecting_ = false; // on_disconnect was called, or need not be
    bool connected_ = false;     // on_connect has ended
    bool deaf_ = false;          // nothing that comes from the peer has a meaning any more
    bool peer_left_ = false; // the end came from the peer: its messages that wait are still handled
};

} // namespace carillon::web
