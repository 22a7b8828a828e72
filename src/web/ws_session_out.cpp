// The sending side of ws_session: what its consumer does.
#include "web/ws_session.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "wire/http/response.hpp"
#include "wire/utf8.hpp"
#include "wire/ws/sender.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::web {

namespace ws = wire::ws;

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
    // the client would have to fail the connection
    if (!wire::is_utf8(as_bytes(text))) [[unlikely]] {
        std::string mended;
        wire::append_replacing(mended, text);
        return send_text(mended);
    }
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
    if (phase_ != phase::open || conflated(e, shown))
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

bool ws_session::conflated(const event& e, const projection& shown) {
    if (route_.slow_ != slow_policy::conflate ||
        link().pending_bytes() <= site_.limit.outbox_bytes_soft)
        return false;
    auto& newest = more().newest;
    auto key = e.handler() + '\n' + to_json(e[route_.conflated_by_]);
    const auto earlier = std::ranges::find(newest, key, &newest_event::key);
    if (earlier != newest.end()) {
        earlier->e = e;
        earlier->shown = &shown;
        site_.counters.slow_dropped.add();
        return true;
    }
    if (newest.size() >= site_.limit.mailbox_events_max)
        return false;
    newest.push_back({std::move(key), e, &shown});
    link().report_drained();
    return true;
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
    if (!site_.layer.accepts_group(group))
        throw error(errc::invalid, fmt::format("'{}' is no group name", group.substr(0, 40)));
    if (elsewhere())
        return on_shard([this, name = std::string(group)] { join(name); });
    if (phase_ == phase::gone)
        return;
    if (groups() >= site_.limit.groups_max)
        throw error(errc::invalid,
                    fmt::format("a consumer may be in {} groups", site_.limit.groups_max));
    site_.members.join(link().home(), group, *this);
    auto& home = link().home();
    auto completed = [this, &home] { home.events().post([this] { join_completed(); }); };
    if (site_.layer.reaches_members(group, std::move(completed)))
        return;
    ++joining_;
    link().hold_output(true);
}

// Until here this object was busy, so it is still there, whatever became of its connection.
void ws_session::join_completed() {
    if (--joining_ > 0)
        return;
    link().hold_output(false);
    if (extras_ && extras_->waiting_for_joins)
        std::exchange(extras_->waiting_for_joins, nullptr).resume();
    link().settle();
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
