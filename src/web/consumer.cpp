#include <carillon/web/consumer.hpp>

#include <algorithm>

#include "web/ws_session.hpp"
#include <carillon/net/waits.hpp>
#include <carillon/wire/json.hpp>

namespace carillon {

task<> consumer::on_connect(const scope&) {
    accept();
    return {};
}
task<> consumer::on_receive(message) { return {}; }
task<> consumer::on_disconnect(std::uint16_t) { return {}; }

void consumer::accept(std::string_view subprotocol, const name_value_list& headers) {
    session_->accept(subprotocol, headers);
}
void consumer::deny(int status) { session_->deny(status); }
void consumer::send(std::string_view text) { session_->send_text(text); }
void consumer::send_json(const value& content) { session_->send_text(to_json(content)); }
void consumer::send_bytes(bytes_view data) { session_->send_binary(data); }
void consumer::send(const event& e, const projection& shown) { session_->send_event(e, shown); }

void consumer::send_error(std::string_view code, std::string_view text) {
    send_json(object{{"type", "error"}, {"data", object{{"code", code}, {"message", text}}}});
}

void consumer::close(std::uint16_t code, std::string_view reason) { session_->close(code, reason); }
joined consumer::join(std::string_view group) {
    session_->join(group);
    return joined(*session_);
}
bool joined::await_ready() const noexcept { return session_.joined(); }
void joined::await_suspend(std::coroutine_handle<> waiting) const { session_.when_joined(waiting); }
void consumer::leave(std::string_view group) { session_->leave(group); }
channel_layer& consumer::layer() const noexcept { return session_->shared().layer; }
const std::string& consumer::channel_name() { return session_->channel_name(); }

task<> json_consumer::on_receive(message received) {
    if (!received.is_text) {
        send_error("bad_request", "send JSON as a text message");
        return {};
    }
    auto parsed = parse_json(received.payload);
    if (!parsed) {
        send_error(name_of(parsed.error().code), parsed.error().message);
        return {};
    }
    return on_json(*std::move(parsed));
}

void blocking_consumer::connect(const scope&) { accept(); }
void blocking_consumer::receive(message) {}
void blocking_consumer::disconnect(std::uint16_t) {}

task<> blocking_consumer::on_connect(const scope& asked) {
    channel_name(); // made here: another thread may only read it
    auto work = blocking([this, &asked] { connect(asked); });
    co_await work;
}

task<> blocking_consumer::on_receive(message received) {
    auto work = blocking([this, &received] { receive(std::move(received)); });
    co_await work;
}

task<> blocking_consumer::on_disconnect(std::uint16_t code) {
    auto work = blocking([this, code] { disconnect(code); });
    co_await work;
}

task<> blocking_consumer::on_thread(blocking_consumer& self, event e, blocking_call call,
                                    std::array<std::byte, 16> bound) {
    auto work = blocking([&self, &e, call, &bound] { call(self, e, bound); });
    co_await work;
}

} // namespace carillon
