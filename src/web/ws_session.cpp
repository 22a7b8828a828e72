#include "web/ws_session.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "web/text.hpp"
#include "wire/http/response.hpp"
#include "wire/ws/sender.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::web {

namespace ws = wire::ws;

namespace {

// What a waiting message costs: without its own share, empty ones would cost nothing and come without end.
std::size_t cost_of(const message& waiting) noexcept {
    return waiting.payload.size() + 2 * sizeof waiting;
}

} // namespace

ws_session::ws_session(site& shared, const route& matched, scope asked, ws::handshake offered)
    : site_(shared), route_(matched), consumer_(matched.consumer_->make()) {
    consumer_->session_ = this;
    more().asked = std::move(asked);
    more().offered = std::move(offered);
}

ws_session::~ws_session() {
    if (extras_ && !extras_->channel.empty())
        site_.boxes.close(extras_->channel);
    // a membership that outlives its session would be used after it
    site_.members.leave_all(link().home(), *this);
}

ws_session::extras& ws_session::more() {
    if (!extras_)
        extras_ = std::make_unique<extras>();
    return *extras_;
}

// An idle connection gives back what only a busy one needs.
void ws_session::shrink() noexcept {
    if (extras_ && connected_ && extras_->mailbox.empty() && extras_->channel.empty())
        extras_.reset();
}

// --- handlers, one after the other ---------------------------------------------------------------

void ws_session::begin(std::span<std::byte> early) {
    more().early.assign(early.begin(), early.end());
    link().remind_in(static_cast<std::uint32_t>(site_.limit.accept_timeout.count()));
    if (extras_->early.size() > 0)
        link().pause_reading(true);
    try {
        run(consumer_->on_connect(extras_->asked));
    } catch (...) {
        failed(std::current_exception());
        finish_connect();
    }
}

// Takes a handler's task. One that has ended already costs nothing more.
void ws_session::run(task<> handler) noexcept {
    if (handler.done())
        return after_handler();
    busy_ = true;
    finished_ = false;
    starting_ = true;
    running_ = std::move(handler);
    running_.start(*this);
    starting_ = false;
    if (!finished_)
        return;
    running_ = {};
    busy_ = false;
    if (thrown_)
        failed(std::exchange(thrown_, nullptr));
    after_handler();
}

void ws_session::completed(std::exception_ptr thrown) noexcept {
    finished_ = true;
    thrown_ = thrown;
    if (starting_)
        return;
    // The coroutine is on the stack below this call: its frame is freed at the end of the turn.
    link().home().events().defer([this] {
        running_ = {};
        busy_ = false;
        if (thrown_)
            failed(std::exchange(thrown_, nullptr));
        after_handler();
    });
}

void ws_session::after_handler() noexcept {
    if (!connected_)
        return finish_connect();
    if (!pumping_)
        pump();
}

void ws_session::finish_connect() noexcept {
    connected_ = true;
    if (phase_ == phase::connecting)
        deny(403); // on_connect ended without a decision
    auto early = std::exchange(more().early, {});
    extras_->asked = {};
    extras_->offered = {};
    if (phase_ == phase::open && !early.empty())
        receive(early); // may run handlers, and give extras_ back
    update_reading();
    pump();
}

void ws_session::pump() noexcept {
    pumping_ = true;
    while (!busy_ && handles_messages() && extras_ && !extras_->mailbox.empty())
        handle_next();
    pumping_ = false;
    if (busy_)
        return;
    if (phase_ == phase::gone)
        return disconnecting_ ? link().settle() : run_disconnect();
    shrink();
    update_reading();
}

void ws_session::handle_next() noexcept {
    auto next = std::move(extras_->mailbox.front());
    extras_->mailbox.pop_front();
    if (auto* received = std::get_if<message>(&next)) {
        extras_->mailbox_bytes -= cost_of(*received);
        try {
            run(consumer_->on_receive(std::move(*received)));
        } catch (...) {
            failed(std::current_exception());
        }
        return;
    }
    --extras_->mailbox_events;
    auto& waited = std::get<waiting_event>(next);
    if (phase_ != phase::open)
        return;
    if (now() - waited.since > site_.boxes.expiry())
        return site_.counters.mailbox_dropped.add();
    handle_event(waited.e);
}

void ws_session::handle_event(const event& e) noexcept {
    const auto& handlers = route_.consumer_->handlers;
    const auto found = std::ranges::find(handlers, e.handler(), &event_handler::type);
    if (found == handlers.end())
        return unhandled(e);
    try {
        auto handler = found->call(*consumer_, e, found->bound);
        if (!handler.done())
            run(std::move(handler));
    } catch (...) {
        failed(std::current_exception());
    }
}

void ws_session::on_event(const event& e, const std::shared_ptr<void>& slot) noexcept {
    if (phase_ > phase::open)
        return;
    if (phase_ == phase::open && !busy_ && connected_ && (!extras_ || extras_->mailbox.empty()))
        return handle_event(e);
    if (more().mailbox_events >= site_.limit.mailbox_events_max)
        return site_.counters.mailbox_dropped.add();
    ++extras_->mailbox_events;
    extras_->mailbox.push_back(waiting_event{e, slot, now()});
}

// Ten thousand members of a group must not mean ten thousand lines.
void ws_session::unhandled(const event& e) noexcept {
    site_.counters.events_unhandled.add();
    const auto second = link().home().second() + 1;
    if (std::exchange(tools().warned_second, second) != second)
        site_.log.warning("event dropped: the consumer has no handler for its type",
                          {{"type", e.type()}, {"route", route_.pattern_.text}});
}

// The one place where what an application throws becomes a close code.
void ws_session::failed(std::exception_ptr thrown) noexcept {
    std::uint16_t code = close_code::server_error;
    std::string why;
    try {
        std::rethrow_exception(thrown);
    } catch (const error& known) {
        why = known.what();
        switch (known.code()) {
        case errc::unauthorized: code = close_code::not_signed_in; break;
        case errc::forbidden: code = close_code::not_allowed; break;
        case errc::not_found: code = close_code::no_such_object; break;
        case errc::unavailable:
        case errc::too_many_requests: code = close_code::try_later; break;
        default: break;
        }
    } catch (const std::exception& unknown) {
        why = unknown.what();
    } catch (...) {
        why = "an exception that is no std::exception";
    }
    if (code == close_code::server_error)
        site_.log.error("a consumer's handler failed",
                        {{"route", route_.pattern_.text}, {"error", why}});
    close(code, code == close_code::server_error ? "server error" : std::string_view(why));
}

void ws_session::run_disconnect() noexcept {
    disconnecting_ = true;
    if (extras_)
        extras_->mailbox.clear();
    try {
        run(consumer_->on_disconnect(close_code_));
    } catch (...) {
        failed(std::current_exception());
        link().settle();
    }
}

// --- bytes in ------------------------------------------------------------------------------------

void ws_session::on_bytes(std::span<std::byte> received) {
    if (deaf_)
        return;
    if (phase_ == phase::open || phase_ == phase::closing)
        return receive(received);
    if (phase_ == phase::connecting) {
        auto& early = more().early;
        early.insert(early.end(), received.begin(), received.end());
        link().pause_reading(true);
    }
}

void ws_session::receive(std::span<std::byte> received) {
    auto& inflater = tools().inflater;
    while (phase_ == phase::open || phase_ == phase::closing) {
        const auto got = receiver_->next(received, inflater);
        switch (got.kind) {
        case ws::receiver::what::need_more: return;
        case ws::receiver::what::text: received_message(true, got.payload); break;
        case ws::receiver::what::binary: received_message(false, got.payload); break;
        case ws::receiver::what::ping:
            if (phase_ == phase::open)
                push(ws::make_frame(ws::opcode::pong, got.payload));
            break;
        case ws::receiver::what::pong: break;
        case ws::receiver::what::close: return peer_closed(got.code);
        case ws::receiver::what::refused: return refused(got.code, got.why);
        }
    }
}

void ws_session::received_message(bool is_text, bytes_view payload) {
    if (phase_ != phase::open)
        return;
    tools().messages_received.add();
    message received{is_text, std::string(as_text(payload))};
    if (!busy_ && (!extras_ || extras_->mailbox.empty())) {
        try {
            return run(consumer_->on_receive(std::move(received)));
        } catch (...) {
            return failed(std::current_exception());
        }
    }
    more().mailbox_bytes += cost_of(received);
    extras_->mailbox.push_back(std::move(received));
    update_reading();
}

// A client is not read while its own messages pile up, nor while it does not take what it is sent.
void ws_session::update_reading() {
    if (phase_ == phase::gone || phase_ == phase::connecting)
        return;
    const bool full = extras_ && extras_->mailbox_bytes > site_.limit.mailbox_bytes_max;
    const bool slow = link().pending_bytes() > site_.limit.outbox_bytes_soft;
    if (slow)
        link().report_drained(); // the kernel may take all at once
    link().pause_reading(phase_ == phase::open && (full || slow));
}

void ws_session::peer_closed(std::uint16_t code) {
    deaf_ = true;
    if (phase_ == phase::closing) { // the answer to ours
        link().close_after_flush(false);
        return;
    }
    close_code_ = code;
    peer_left_ = true;
    phase_ = phase::closing;
    link().push(ws::make_close(code == close_code::none_given ? close_code::normal : code, {}));
    link().close_after_flush(false);
}

void ws_session::refused(std::uint16_t code, const char* why) {
    deaf_ = true;
    site_.counters.protocol_errors.add();
    if (phase_ == phase::closing)
        return link().end();
    close_code_ = code;
    begin_closing(code, why, true);
}

void ws_session::on_end_of_input() { link().end(); }

void ws_session::on_drained() { update_reading(); }

// --- time ----------------------------------------------------------------------------------------

std::uint32_t ws_session::on_reminder() {
    const auto seconds = [](std::chrono::seconds time) {
        return static_cast<std::uint32_t>(time.count());
    };
    const auto second = link().home().second();
    if (phase_ == phase::connecting) {
        deny(503);
        return 1;
    }
    if (phase_ == phase::closing) { // close_timeout has passed
        link().end();
        return 1;
    }
    if (slow_since_ != 0 && link().pending_bytes() > site_.limit.outbox_bytes_soft) {
        const auto patience = seconds(site_.limit.outbox_soft_duration);
        if (second - slow_since_ < patience)
            return patience - (second - slow_since_);
        close_as_slow();
        return seconds(site_.limit.close_timeout);
    }
    if (link().reading_paused()) { // it is not heard because it is not read; silence says nothing
        pinged_ = 0;
        return seconds(site_.limit.ping_interval);
    }
    const auto heard = link().last_received();
    if (pinged_ != 0 && heard < pinged_) {
        if (second - pinged_ >= seconds(site_.limit.ping_timeout)) {
            site_.counters.ping_timeouts.add();
            link().end();
            return 1;
        }
        return seconds(site_.limit.ping_timeout) - (second - pinged_);
    }
    pinged_ = 0;
    const auto silent = second - heard;
    if (silent < seconds(site_.limit.ping_interval))
        return seconds(site_.limit.ping_interval) - silent;
    pinged_ = second;
    push(ws::make_frame(ws::opcode::ping, {}));
    return seconds(site_.limit.ping_timeout);
}

void ws_session::on_stop() {
    if (phase_ == phase::connecting)
        return deny(503);
    if (phase_ == phase::open)
        close(close_code::restart, "the server restarts");
}

void ws_session::on_ended() noexcept {
    if (accepted_)
        tools().sockets_open.sub();
    site_.members.leave_all(link().home(), *this);
    if (extras_ && !extras_->channel.empty())
        // the name stays: a handler on another thread may read it
        site_.boxes.close(extras_->channel);
    peer_left_ = peer_left_ || phase_ == phase::open;
    phase_ = phase::gone;
    if (!busy_ && connected_ && !pumping_)
        pump(); // else whoever is at it goes on
}

// --- what the consumer does ----------------------------------------------------------------------

template <class F>
void ws_session::on_shard(F work) {
    // A handler on another thread keeps this session busy, and so alive, until the shard has taken all it posted
    // before.
    link().home().events().post([this, work = std::move(work)]() mutable {
        try {
            work();
        } catch (...) {
            failed(std::current_exception());
        }
    });
}

void ws_session::accept(std::string_view subprotocol, const name_value_list& headers) {
    if (elsewhere())
        return on_shard(
            [this, name = std::string(subprotocol), headers] { accept(name, headers); });
    if (phase_ != phase::connecting)
        return;
    auto& offered = extras_->offered;
    std::string answer;
    answer.reserve(512);
    answer += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
              "Upgrade\r\nSec-WebSocket-Accept: ";
    answer += ws::accept_key(offered.key) + "\r\n";
    if (const auto agreed = ws::negotiate_deflate(offered.extensions)) {
        window_bits_ = static_cast<std::uint8_t>(agreed->server_window_bits);
        answer += "Sec-WebSocket-Extensions: " + agreed->response + "\r\n";
    }
    if (!subprotocol.empty()) {
        if (std::ranges::find(offered.subprotocols, subprotocol) == offered.subprotocols.end())
            throw error(errc::internal,
                        fmt::format("the client did not offer the subprotocol '{}'", subprotocol));
        answer += fmt::format("Sec-WebSocket-Protocol: {}\r\n", subprotocol);
    }
    for (const auto& [name, content] : headers)
        if (wire::http::may_be_written(name, content))
            answer += name + ": " + content + "\r\n";
    link().push(shared_frame::copy_of(answer + "\r\n"));
    receiver_.emplace(route_.message_bytes_max_ ? route_.message_bytes_max_
                                                : site_.limit.message_bytes_max,
                      window_bits_ != 0);
    accepted_ = true;
    phase_ = phase::open;
    tools().sockets_opened.add();
    tools().sockets_open.add();
    link().remind_in(static_cast<std::uint32_t>(site_.limit.ping_interval.count()));
}

void ws_session::deny(int status) {
    if (elsewhere())
        return on_shard([this, status] { deny(status); });
    if (phase_ != phase::connecting)
        return;
    const auto code = status == 503   ? errc::unavailable
                      : status == 404 ? errc::not_found
                                      : errc::forbidden;
    const auto body = error_response(code, "the WebSocket was refused").body;
    wire::http::response_head head{
        status, {{"Content-Type", "application/json"}}, body.size(), false};
    link().push(shared_frame::copy_of(wire::http::write_head(head, tools().date()) + body));
    phase_ = phase::closing;
    link().close_after_flush(true);
}

bool ws_session::compresses(std::size_t text_bytes) const noexcept {
    return window_bits_ != 0 && text_bytes >= site_.limit.compress_bytes_min;
}

void ws_session::send_text(std::string_view text) {
    if (elsewhere())
        return on_shard([this, copy = std::string(text)] { send_text(copy); });
    if (!compresses(text.size()))
        return push(ws::make_text(text));
    auto& deflater = tools().deflater;
    push(ws::make_frame(ws::opcode::text, deflater.compress(as_bytes(text), window_bits_), true));
}

void ws_session::send_binary(bytes_view data) {
    if (elsewhere())
        return on_shard([this, copy = bytes(data.begin(), data.end())] { send_binary(copy); });
    if (!compresses(data.size()))
        return push(ws::make_frame(ws::opcode::binary, data));
    auto& deflater = tools().deflater;
    push(ws::make_frame(ws::opcode::binary, deflater.compress(data, window_bits_), true));
}

// The hot path. A frame is made once per event, projection, window and shard: shards that shared one would fight over
// its count of shares.
void ws_session::send_event(const event& e, const projection& shown) {
    if (elsewhere())
        return on_shard([this, e, &shown] { send_event(e, shown); });
    if (phase_ != phase::open)
        return;
    const auto shard_variant = link().home().index() << 4;
    auto frame = e.kept(shown, shard_variant);
    if (!frame) {
        frame = ws::make_text(e.text(shown));
        e.keep(shown, shard_variant, frame);
    }
    if (compresses(frame.size())) {
        const auto variant = shard_variant | window_bits_;
        if (auto compressed = e.kept(shown, variant))
            return push(std::move(compressed));
        auto& deflater = tools().deflater;
        const auto text = e.text(shown);
        frame =
            ws::make_frame(ws::opcode::text, deflater.compress(as_bytes(text), window_bits_), true);
        e.keep(shown, variant, frame);
    }
    push(std::move(frame));
}

void ws_session::push(shared_frame frame) {
    if (phase_ != phase::open)
        return;
    const auto pending = link().pending_bytes();
    if (pending > site_.limit.outbox_bytes_soft) [[unlikely]] {
        if (pending > site_.limit.outbox_bytes_max) {
            if (route_.slow_ == slow_policy::drop_newest)
                return site_.counters.slow_dropped.add();
            return close_as_slow();
        }
        if (slow_since_ == 0)
            slow_since_ = std::max(link().home().second(), 1u);
        update_reading();
    } else {
        slow_since_ = 0;
    }
    tools().frames_sent.add();
    link().push(std::move(frame));
}

void ws_session::close_as_slow() {
    if (phase_ != phase::open)
        return;
    site_.counters.slow_closed.add();
    close_code_ = close_code::too_slow;
    link().drop_unsent(); // so that the close frame has a chance
    begin_closing(close_code::too_slow, "this client reads too slowly", true);
}

void ws_session::begin_closing(std::uint16_t code, std::string_view reason, bool linger) {
    phase_ = phase::closing;
    link().push(ws::make_close(code, reason));
    if (linger) {
        link().close_after_flush(true);
        return;
    }
    link().pause_reading(false); // the peer's close frame is awaited, for close_timeout at most
    link().remind_in(static_cast<std::uint32_t>(site_.limit.close_timeout.count()));
}

void ws_session::close(std::uint16_t code, std::string_view reason) {
    if (elsewhere())
        return on_shard([this, code, why = std::string(reason)] { close(code, why); });
    if (phase_ == phase::connecting)
        accept({}, {});
    if (phase_ != phase::open)
        return;
    close_code_ = code;
    begin_closing(code, reason, false);
}

void ws_session::join(std::string_view group) {
    if (!is_group_name(group))
        throw error(errc::invalid, fmt::format("'{}' is no group name", group.substr(0, 40)));
    if (elsewhere())
        return on_shard([this, name = std::string(group)] { join(name); });
    if (phase_ == phase::gone)
        return;
    if (groups() >= site_.limit.groups_max)
        throw error(errc::invalid,
                    fmt::format("a consumer may be in {} groups", site_.limit.groups_max));
    site_.members.join(link().home(), group, *this);
}

void ws_session::leave(std::string_view group) {
    if (elsewhere())
        return on_shard([this, name = std::string(group)] { leave(name); });
    site_.members.leave(link().home(), group, *this);
}

const std::string& ws_session::channel_name() {
    auto& name = more().channel;
    if (name.empty())
        name = site_.boxes.open(link().home(), *this);
    return name;
}

} // namespace carillon::web
