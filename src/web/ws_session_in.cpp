// The receiving side of ws_session: bytes and time.
#include "web/ws_session.hpp"

#include <utility>

#include "wire/ws/sender.hpp"

namespace carillon::web {

namespace ws = wire::ws;

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

void ws_session::on_drained() {
    update_reading();
    if (!extras_ || extras_->newest.empty())
        return;
    for (const auto& one : std::exchange(extras_->newest, {}))
        send_event(one.e, *one.shown);
    shrink();
}

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

} // namespace carillon::web
