#include "web/ws_session.hpp"

#include <algorithm>
#include <utility>

namespace carillon::web {

namespace ws = wire::ws;

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
    if (extras_ && connected_ && extras_->mailbox.empty() && extras_->channel.empty() &&
        extras_->newest.empty() && !extras_->waiting_for_joins)
        extras_.reset();
}

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
    if (e.type() == gap_event_type)
        return;
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
        case errc::channel_full:
        case errc::timed_out:
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

} // namespace carillon::web
