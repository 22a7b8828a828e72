// The client's side of one WebSocket to a test site.
#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "testing/http_text.hpp"
#include "testing/line.hpp"
#include "wire/base64.hpp"
#include "wire/ws/close_code.hpp"
#include "wire/ws/sender.hpp"
#include <carillon/testing/communicator.hpp>
#include <carillon/web/consumer.hpp>
#include <carillon/wire/json.hpp>

namespace carillon::testing {

namespace ws = wire::ws;

namespace {

template <std::size_t N>
std::array<std::uint8_t, N> random_bytes() {
    std::random_device source;
    std::array<std::uint8_t, N> made;
    std::ranges::generate(made, [&] { return static_cast<std::uint8_t>(source()); });
    return made;
}

} // namespace

class websocket_communicator::impl {
public:
    impl(running_site& site, std::string path, ws_options options)
        : site_(site), path_(std::move(path)), options_(std::move(options)) {}

    connected connect(steady_time deadline);
    void send(ws::opcode kind, bytes_view payload);
    // The next message; throws closed or timed_out.
    message receive(steady_time deadline);
    bool silent_until(steady_time deadline);
    std::uint16_t receive_close(steady_time deadline);
    // Says goodbye and waits for the server's answer.
    void leave(std::uint16_t code, steady_time deadline);
    void wait_until_ended(steady_time deadline);
    bool is_open() const noexcept { return line_ && !closed_; }

private:
    std::string handshake() const;
    answer_head receive_head(steady_time deadline);
    line& connected_line();
    bool pump(steady_time deadline);
    void take_frames();
    void server_closed(std::uint16_t code, std::string_view reason);

    running_site& site_;
    const std::string path_;
    const ws_options options_;
    std::optional<line> line_;
    std::optional<ws::receiver> receiver_; // from the acceptance on
    ws::inflater inflater_;
    std::deque<message> inbox_;
    std::optional<std::uint16_t> closed_; // the server's code, or that it vanished
    std::string close_reason_;
    bool close_told_ = false; // to whoever listens for silence
    bool leaving_ = false;    // our close frame is on its way
};

std::string websocket_communicator::impl::handshake() const {
    const auto key = random_bytes<16>();
    name_value_list defaults{
        {"Host", site_.host()},
        {"Origin", "http://" + site_.host()},
        {"Upgrade", "websocket"},
        {"Connection", "Upgrade"},
        {"Sec-WebSocket-Version", "13"},
        {"Sec-WebSocket-Key", wire::base64_encode(std::as_bytes(std::span(key)))},
        {"Sec-WebSocket-Extensions", "permessage-deflate"},
    };
    std::string offered;
    for (const auto& one : options_.subprotocols)
        (offered += offered.empty() ? "" : ", ") += one;
    if (!offered.empty())
        defaults.emplace_back("Sec-WebSocket-Protocol", offered);
    return request_head("GET", path_, options_.headers, defaults);
}

answer_head websocket_communicator::impl::receive_head(steady_time deadline) {
    for (;;) {
        if (auto head = read_answer_head(line_->received()))
            return *std::move(head);
        switch (line_->receive(deadline)) {
        case line::outcome::more: break;
        case line::outcome::nothing:
            throw error(errc::timed_out, "the consumer has neither accepted nor refused in time");
        case line::outcome::end:
            throw error(errc::closed, "the server ended the connection without an answer");
        }
    }
}

connected websocket_communicator::impl::connect(steady_time deadline) {
    if (line_)
        throw error(errc::invalid, "a communicator connects once; make another one");
    const auto request = handshake();
    line_.emplace(site_);
    line_->send(request, deadline);
    auto head = receive_head(deadline);
    connected found;
    found.status = head.status;
    found.accepted = head.status == 101;
    found.subprotocol = header_of(head.headers, "Sec-WebSocket-Protocol");
    const auto extensions = header_of(head.headers, "Sec-WebSocket-Extensions");
    found.headers = std::move(head.headers);
    if (!found.accepted) {
        closed_ = close_code::vanished;
        close_told_ = true;
        line_->close();
        return found;
    }
    line_->received().erase(0, head.bytes);
    receiver_.emplace(UINT32_MAX, extensions.starts_with("permessage-deflate"),
                      ws::sent_by::server);
    take_frames();
    if (closed_) {
        found.close_code = *closed_;
        close_told_ = true;
    }
    return found;
}

line& websocket_communicator::impl::connected_line() {
    if (!line_)
        throw error(errc::invalid, "connect() comes first");
    return *line_;
}

void websocket_communicator::impl::send(ws::opcode kind, bytes_view payload) {
    auto& to = connected_line();
    if (closed_)
        throw error(errc::closed, fmt::format("the WebSocket is closed ({})", *closed_));
    const auto frame = ws::make_masked_frame(kind, payload, random_bytes<4>());
    to.send(as_text(frame), now() + default_timeout);
}

// Takes what came until the deadline. False when nothing did.
bool websocket_communicator::impl::pump(steady_time deadline) {
    auto& from = connected_line();
    // Sending may have received.
    switch (from.received().empty() ? from.receive(deadline) : line::outcome::more) {
    case line::outcome::more: take_frames(); return true;
    case line::outcome::nothing: return false;
    case line::outcome::end: break;
    }
    if (!closed_)
        server_closed(close_code::vanished, {});
    return true;
}

void websocket_communicator::impl::take_frames() {
    auto data = std::exchange(line_->received(), {});
    auto rest = std::as_writable_bytes(std::span(data));
    for (;;) {
        const auto got = receiver_->next(rest, inflater_);
        switch (got.kind) {
        case ws::receiver::what::need_more: return;
        case ws::receiver::what::text:
        case ws::receiver::what::binary:
            inbox_.push_back(
                {got.kind == ws::receiver::what::text, std::string(as_text(got.payload))});
            break;
        case ws::receiver::what::ping: send(ws::opcode::pong, got.payload); break;
        case ws::receiver::what::pong: break;
        case ws::receiver::what::close: return server_closed(got.code, as_text(got.payload));
        case ws::receiver::what::refused:
            throw error(errc::corrupt, fmt::format("the server broke the protocol: {}", got.why));
        }
    }
}

// Nothing more comes: the answer is given, and this end of the connection is over.
void websocket_communicator::impl::server_closed(std::uint16_t code, std::string_view reason) {
    close_reason_ = reason;
    if (!leaving_ && code != close_code::vanished) {
        const auto key = random_bytes<4>();
        const auto answer = code == close_code::none_given
                                ? ws::make_masked_frame(ws::opcode::close, {}, key)
                                : ws::make_masked_close(code, {}, key);
        try {
            line_->send(as_text(answer), now() + default_timeout);
        } catch (const error&) {
            // It did not wait for the answer.
        }
    }
    closed_ = code;
    line_->close();
}

message websocket_communicator::impl::receive(steady_time deadline) {
    connected_line();
    while (inbox_.empty()) {
        if (closed_) {
            close_told_ = true;
            throw error(errc::closed,
                        fmt::format("the WebSocket is closed ({}) {}", *closed_, close_reason_));
        }
        if (!pump(deadline))
            throw error(errc::timed_out, "no message came in time");
    }
    auto first = std::move(inbox_.front());
    inbox_.pop_front();
    return first;
}

bool websocket_communicator::impl::silent_until(steady_time deadline) {
    connected_line();
    for (;;) {
        if (!inbox_.empty() || (closed_ && !close_told_))
            return false;
        if (closed_ || !pump(deadline))
            return true;
    }
}

std::uint16_t websocket_communicator::impl::receive_close(steady_time deadline) {
    connected_line();
    while (!closed_)
        if (!pump(deadline))
            throw error(errc::timed_out, "the server has not closed in time");
    inbox_.clear();
    close_told_ = true;
    return *closed_;
}

void websocket_communicator::impl::leave(std::uint16_t code, steady_time deadline) {
    auto& to = connected_line();
    if (closed_)
        return;
    if (code == close_code::vanished)
        return server_closed(code, {});
    const auto key = random_bytes<4>();
    const auto frame = code == close_code::none_given
                           ? ws::make_masked_frame(ws::opcode::close, {}, key)
                           : ws::make_masked_close(code, {}, key);
    leaving_ = true;
    to.send(as_text(frame), deadline);
    receive_close(deadline);
}

void websocket_communicator::impl::wait_until_ended(steady_time deadline) {
    if (!line_->wait_until_ended(deadline))
        throw error(errc::timed_out, "the consumer's on_disconnect has not ended in time");
}

websocket_communicator::websocket_communicator(test_site& site, std::string path,
                                               ws_options options)
    : impl_(std::make_unique<impl>(*site.running_, std::move(path), std::move(options))) {}

websocket_communicator::~websocket_communicator() {
    if (!impl_->is_open())
        return;
    try {
        impl_->leave(close_code::going_away, now() + default_timeout);
    } catch (const error&) {
        // The test has failed already, and the site will cut the connection.
    }
}

connected websocket_communicator::connect(std::chrono::milliseconds timeout) {
    return impl_->connect(now() + timeout);
}

void websocket_communicator::send_text(std::string_view text) {
    if (text.empty())
        throw error(errc::invalid, "an empty message is not sent");
    impl_->send(ws::opcode::text, as_bytes(text));
}

void websocket_communicator::send_bytes(bytes_view data) {
    if (data.empty())
        throw error(errc::invalid, "an empty message is not sent");
    impl_->send(ws::opcode::binary, data);
}

void websocket_communicator::send_json(const value& content) { send_text(to_json(content)); }

std::string websocket_communicator::receive_text(std::chrono::milliseconds timeout) {
    auto got = impl_->receive(now() + timeout);
    if (!got.is_text)
        throw error(errc::invalid, "a binary message came, not a text");
    return std::move(got.payload);
}

bytes websocket_communicator::receive_bytes(std::chrono::milliseconds timeout) {
    const auto got = impl_->receive(now() + timeout);
    if (got.is_text)
        throw error(errc::invalid, "a text came, not a binary message: " + got.payload);
    const auto data = as_bytes(got.payload);
    return {data.begin(), data.end()};
}

value websocket_communicator::receive_json(std::chrono::milliseconds timeout) {
    const auto text = receive_text(timeout);
    auto parsed = parse_json(text);
    if (!parsed)
        throw error(errc::invalid, "the message is no JSON: " + parsed.error().message);
    return *std::move(parsed);
}

bool websocket_communicator::receive_nothing(std::chrono::milliseconds listening) {
    return impl_->silent_until(now() + listening);
}

std::uint16_t websocket_communicator::receive_close(std::chrono::milliseconds timeout) {
    return impl_->receive_close(now() + timeout);
}

void websocket_communicator::disconnect(std::uint16_t code, std::chrono::milliseconds timeout) {
    if (code != close_code::none_given && code != close_code::vanished &&
        !ws::may_be_received(code))
        throw error(errc::invalid, fmt::format("no client may close with {}", code));
    const auto deadline = now() + timeout;
    impl_->leave(code, deadline);
    impl_->wait_until_ended(deadline);
}

} // namespace carillon::testing
