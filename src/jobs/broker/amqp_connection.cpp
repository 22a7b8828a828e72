#include "jobs/broker/amqp_connection.hpp"

#include <algorithm>
#include <utility>

#include "jobs/broker/amqp_tables.hpp"

namespace carillon::jobs::amqp {

namespace {

template <class T>
T smaller_limit(T a, T b) noexcept { // zero: none
    return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

} // namespace

connection::connection(net::loop& on, endpoint where, connection_options options,
                       connection_events& events)
    : loop_(on), where_(std::move(where)), options_(std::move(options)), events_(events),
      names_(on), last_received_(now()) {
    net::client_socket_events& me = *this;
    client_ = std::make_shared<net::client_socket>(loop_, names_, me);
}

connection::~connection() { abandon(); }

void connection::cancel_timer() noexcept {
    if (timer_)
        loop_.cancel(*std::exchange(timer_, std::nullopt));
}

void connection::abandon() noexcept {
    state_ = state::closed;
    cancel_timer();
    client_->close();
}

void connection::open() {
    std::optional<net::tls_client_context> tls;
    if (where_.tls) {
        // read anew each time: a renewed certificate needs no restart
        auto loaded = net::tls_client_context::load(options_.tls);
        if (!loaded) {
            loop_.defer([this, why = loaded.error()] { lost(why); });
            return;
        }
        tls.emplace(std::move(*loaded));
    }
    timer_ = loop_.at(now() + options_.timeout, [this] {
        timer_.reset();
        lost({errc::unavailable, std::string(client_->missing()) + " in time"});
    });
    client_->open({where_.host, where_.port, {}}, std::move(tls), options_.timeout);
}

void connection::on_open() noexcept {
    state_ = state::login;
    client_->outgoing() += std::string_view("AMQP\0\0\x9\x1", 8);
    client_->flush_soon();
}

void connection::on_lost(const failure& why) noexcept {
    if (state_ == state::closing)
        return finish_close();
    auto said = why;
    if (state_ == state::login && said_password_)
        said.message += " during the login";
    lost(std::move(said));
}

void connection::lost(failure why) noexcept {
    if (state_ == state::closed)
        return;
    if (state_ == state::closing)
        return finish_close();
    abandon();
    why.message = "RabbitMQ at " + where_.name() + ": " + why.message;
    events_.on_closed(why);
}

void connection::finish_close() {
    abandon();
    if (const auto done = std::exchange(closed_, nullptr))
        done();
}

void connection::close(std::chrono::milliseconds patience, std::function<void()> done) {
    closed_ = std::move(done);
    if (state_ != state::open)
        return finish_close();
    amqp_connection_close_t goodbye{};
    goodbye.reply_code = AMQP_REPLY_SUCCESS;
    goodbye.reply_text = bytes_of("closed by its user");
    send(0, AMQP_CONNECTION_CLOSE_METHOD, &goodbye);
    state_ = state::closing;
    cancel_timer();
    timer_ = loop_.at(now() + patience, [this] {
        timer_.reset();
        finish_close();
    });
}

// --- sending

void connection::send(std::uint16_t channel, amqp_method_number_t number, const void* fields) {
    if (state_ == state::closed || state_ == state::closing)
        return;
    if (!append_method(client_->outgoing(), channel, number, fields))
        return lost({errc::internal, "a method does not fit into a frame"});
    sent_ = true;
    client_->flush_soon();
}

void connection::call(std::uint16_t channel, amqp_method_number_t number, const void* fields,
                      told done) {
    // in the protocol's numbers the answer follows its question
    channels_[channel].calls.push_back({number + 1, std::move(done)});
    send(channel, number, fields);
}

void connection::open_channel(std::uint16_t channel, channel_events& events) {
    channels_[channel].events = &events;
    channels_[channel].partial.reset();
    const amqp_channel_open_t fields{};
    call(channel, AMQP_CHANNEL_OPEN_METHOD, &fields, [](const reply&) {});
}

void connection::publish(std::uint16_t channel, std::string_view exchange,
                         std::string_view routing_key, bool mandatory, std::string_view properties,
                         std::string_view body) {
    amqp_basic_publish_t fields{};
    fields.exchange = bytes_of(exchange);
    fields.routing_key = bytes_of(routing_key);
    fields.mandatory = mandatory;
    send(channel, AMQP_BASIC_PUBLISH_METHOD, &fields);
    if (state_ != state::open)
        return;
    append_content(client_->outgoing(), channel, properties, body, frame_max_);
    client_->flush_soon();
}

// --- receiving

void connection::on_bytes(std::string_view received) noexcept {
    last_received_ = loop_.turn_time();
    reader_.append(received);
    while (state_ != state::closed) {
        auto next = reader_.next();
        if (!next)
            return lost(next.error());
        if (!*next)
            return;
        if (!take(**next))
            return lost({errc::corrupt, "it sent a frame that cannot be here"});
        storage_.recycle();
    }
}

bool connection::take(const frame& f) {
    if (f.type == AMQP_FRAME_HEARTBEAT)
        return true;
    if (f.channel >= channels)
        return false;
    if (f.type == AMQP_FRAME_METHOD)
        return take_method(f.channel, f.payload);
    auto& c = channels_[f.channel];
    if (!c.partial) // of a channel that was opened again
        return true;
    if (f.type == AMQP_FRAME_HEADER)
        return take_header(c, f.payload);
    return f.type == AMQP_FRAME_BODY && take_body(c, f.payload);
}

bool connection::take_method(std::uint16_t channel, std::string_view payload) {
    auto read = read_method(payload, storage_);
    if (!read)
        return false;
    if (channel == 0)
        return take_connection_method(*read);
    return take_channel_method(channel, channels_[channel], *read);
}

bool connection::take_connection_method(const method& m) {
    const amqp_connection_close_ok_t nothing{};
    switch (m.number) {
    case AMQP_CONNECTION_START_METHOD:
        return state_ == state::login && start(m.as<amqp_connection_start_t>());
    case AMQP_CONNECTION_TUNE_METHOD:
        if (state_ != state::login)
            return false;
        tune(m.as<amqp_connection_tune_t>());
        return true;
    case AMQP_CONNECTION_OPEN_OK_METHOD:
        if (state_ != state::login)
            return false;
        cancel_timer();
        state_ = state::open;
        if (heartbeat_.count() > 0)
            beat();
        events_.on_open();
        return true;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        events_.on_blocked(text_of(m.as<amqp_connection_blocked_t>().reason));
        return true;
    case AMQP_CONNECTION_UNBLOCKED_METHOD: events_.on_blocked({}); return true;
    case AMQP_CONNECTION_CLOSE_METHOD:
        send(0, AMQP_CONNECTION_CLOSE_OK_METHOD, &nothing);
        client_->flush_now();
        server_closes(m.as<amqp_connection_close_t>());
        return true;
    case AMQP_CONNECTION_CLOSE_OK_METHOD:
        if (state_ == state::closing)
            finish_close();
        return true;
    default: return false;
    }
}

bool connection::start(const amqp_connection_start_t& offered) {
    const auto mechanisms = " " + std::string(text_of(offered.mechanisms)) + " ";
    if (mechanisms.find(" PLAIN ") == std::string::npos) {
        lost({errc::unavailable, "it does not take a user and a password (PLAIN)"});
        return true;
    }
    const table capabilities{{"authentication_failure_close", true},
                             {"basic.nack", true},
                             {"connection.blocked", true},
                             {"consumer_cancel_notify", true},
                             {"publisher_confirms", true}};
    const table properties{{"product", "Carillon"},
                           {"connection_name", options_.purpose},
                           {"capabilities", capabilities}};
    std::string response;
    response.append(1, '\0').append(where_.user).append(1, '\0').append(where_.password);
    amqp_connection_start_ok_t fields{};
    fields.client_properties = properties.get();
    fields.mechanism = bytes_of("PLAIN");
    fields.response = bytes_of(response);
    fields.locale = bytes_of("en_US");
    said_password_ = true;
    send(0, AMQP_CONNECTION_START_OK_METHOD, &fields);
    return true;
}

void connection::tune(const amqp_connection_tune_t& offered) {
    const auto wanted = std::clamp<std::int64_t>(options_.heartbeat.count(), 0, 65'535);
    amqp_connection_tune_ok_t fields{};
    fields.channel_max =
        smaller_limit(offered.channel_max, static_cast<std::uint16_t>(channels - 1));
    fields.frame_max = smaller_limit(offered.frame_max, frame_bytes_wanted);
    fields.heartbeat = smaller_limit(offered.heartbeat, static_cast<std::uint16_t>(wanted));
    frame_max_ = std::max<std::size_t>(fields.frame_max, AMQP_FRAME_MIN_SIZE);
    heartbeat_ = std::chrono::seconds(fields.heartbeat);
    send(0, AMQP_CONNECTION_TUNE_OK_METHOD, &fields);
    amqp_connection_open_t where{};
    where.virtual_host = bytes_of(where_.vhost);
    send(0, AMQP_CONNECTION_OPEN_METHOD, &where);
}

void connection::server_closes(const amqp_connection_close_t& said) {
    const std::string text(text_of(said.reply_text));
    if (state_ == state::login && said.reply_code == AMQP_ACCESS_REFUSED)
        return lost({errc::unauthorized,
                     "it refuses the user " + where_.user + " or the password: " + text});
    if (state_ == state::login)
        return lost({errc::unavailable, "it refuses the connection: " + text});
    lost({errc::unavailable, "it closed the connection: " + text});
}

// Twice within the interval: something is sent, and what came is looked at.
void connection::beat() {
    if (now() - last_received_ > 2 * heartbeat_) {
        const auto silent = std::chrono::duration_cast<std::chrono::seconds>(2 * heartbeat_);
        return lost({errc::unavailable, "it was silent for " + std::to_string(silent.count()) +
                                            " s, without a heartbeat"});
    }
    if (!std::exchange(sent_, false)) {
        append_heartbeat(client_->outgoing());
        client_->flush_soon();
    }
    timer_ = loop_.at(now() + heartbeat_ / 2, [this] {
        timer_.reset();
        beat();
    });
}

// --- channels

bool connection::take_channel_method(std::uint16_t number, channel_state& c, const method& m) {
    if (!c.events)
        return false;
    switch (m.number) {
    case AMQP_BASIC_DELIVER_METHOD:
    case AMQP_BASIC_RETURN_METHOD: begin_content(c, m); return true;
    case AMQP_BASIC_ACK_METHOD: {
        const auto& ack = m.as<amqp_basic_ack_t>();
        c.events->on_confirm(ack.delivery_tag, ack.multiple, true);
        return true;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const auto& nack = m.as<amqp_basic_nack_t>();
        c.events->on_confirm(nack.delivery_tag, nack.multiple, false);
        return true;
    }
    case AMQP_BASIC_CANCEL_METHOD:
        c.events->on_cancelled(text_of(m.as<amqp_basic_cancel_t>().consumer_tag));
        return true;
    case AMQP_CHANNEL_FLOW_METHOD: {
        const amqp_channel_flow_ok_t same{m.as<amqp_channel_flow_t>().active};
        send(number, AMQP_CHANNEL_FLOW_OK_METHOD, &same);
        return true;
    }
    case AMQP_CHANNEL_CLOSE_METHOD:
        close_channel(number, m.as<amqp_channel_close_t>());
        return true;
    default: return take_reply(c, m);
    }
}

// RabbitMQ lets the queue answer that a consumer began or ended: what was asked later may be answered earlier.
bool connection::take_reply(channel_state& c, const method& m) {
    const auto asked = std::find_if(c.calls.begin(), c.calls.end(),
                                    [&](const auto& one) { return one.expected == m.number; });
    if (asked == c.calls.end())
        return false;
    const auto done = std::move(asked->done);
    c.calls.erase(asked);
    reply answer;
    answer.got = m;
    done(answer);
    return true;
}

void connection::close_channel(std::uint16_t number, const amqp_channel_close_t& said) {
    auto& c = channels_[number];
    const amqp_channel_close_ok_t nothing{};
    send(number, AMQP_CHANNEL_CLOSE_OK_METHOD, &nothing);
    const failure why{errc::unavailable, "RabbitMQ: " + std::string(text_of(said.reply_text))};
    c.partial.reset();
    auto calls = std::exchange(c.calls, {});
    reply answer;
    answer.problem = why;
    answer.code = said.reply_code;
    for (const auto& one : calls) {
        one.done(answer);
        answer.code = 0;
    }
    if (state_ == state::open)
        c.events->on_channel_closed(why);
}

void connection::begin_content(channel_state& c, const method& m) {
    auto& got = c.partial.emplace();
    c.header_seen = false;
    if (m.number == AMQP_BASIC_DELIVER_METHOD) {
        const auto& said = m.as<amqp_basic_deliver_t>();
        got.consumer_tag = text_of(said.consumer_tag);
        got.delivery_tag = said.delivery_tag;
        got.redelivered = said.redelivered;
        got.exchange = text_of(said.exchange);
        got.routing_key = text_of(said.routing_key);
        return;
    }
    const auto& said = m.as<amqp_basic_return_t>();
    got.returned = true;
    got.reply_text = text_of(said.reply_text);
    got.exchange = text_of(said.exchange);
    got.routing_key = text_of(said.routing_key);
}

bool connection::take_header(channel_state& c, std::string_view payload) {
    const auto header = read_content_header(payload);
    if (!header || std::exchange(c.header_seen, true))
        return false;
    c.partial->properties = header->properties;
    c.partial->body_bytes = c.left = header->body_bytes;
    if (header->body_bytes <= options_.message_bytes_max)
        c.partial->body.reserve(header->body_bytes);
    if (header->body_bytes == 0)
        finish_content(c);
    return true;
}

bool connection::take_body(channel_state& c, std::string_view payload) {
    if (!c.header_seen || payload.size() > c.left)
        return false;
    c.left -= payload.size();
    if (c.partial->body_bytes <= options_.message_bytes_max) // else only counted
        c.partial->body += payload;
    if (c.left == 0)
        finish_content(c);
    return true;
}

void connection::finish_content(channel_state& c) {
    auto whole = std::move(*c.partial);
    c.partial.reset();
    c.events->on_content(std::move(whole));
}

} // namespace carillon::jobs::amqp
