#include "app/option_kinds.hpp"

namespace carillon::app {

void add_limit_options(std::vector<option>& all) {
    const auto seconds = [&](std::string name, std::string help,
                             std::chrono::seconds limits::*member) {
        all.push_back(seconds_option(
            std::move(name), std::move(help),
            [member](settings& s) -> std::chrono::seconds& { return s.limit.*member; }, 1));
    };
    const auto amount = [&]<class T>(std::string name, std::string help, T limits::*member, T low,
                                     T high) {
        all.push_back(number_option_at<T>(
            std::move(name), std::move(help),
            [member](settings& s) -> T& { return s.limit.*member; }, low, high));
    };
    constexpr std::size_t gib = 1u << 30;
    amount("connections-max", "connections at once; more are closed at once",
           &limits::connections_max, 1u, 10'000'000u);
    seconds("handshake-timeout", "for a request's head to arrive", &limits::handshake_timeout);
    seconds("keep-alive-timeout", "silence between two requests", &limits::keep_alive_timeout);
    seconds("body-timeout", "silence while a request's body arrives", &limits::body_timeout);
    seconds("send-timeout", "a peer that takes nothing is cut after it", &limits::send_timeout);
    seconds("drain-timeout", "for connections to end when the server stops",
            &limits::drain_timeout);
    amount("head-bytes-max", "request line and headers", &limits::head_bytes_max, 1024u, 1u << 20);
    amount("body-bytes-max", "request bodies, of routes without a limit of their own",
           &limits::body_bytes_max, std::uint64_t{1024}, std::uint64_t{gib});
    amount("message-bytes-max", "WebSocket messages, of routes without a limit of their own",
           &limits::message_bytes_max, 125u, 1u << 30);
    seconds("ping-interval", "silence before a WebSocket ping", &limits::ping_interval);
    seconds("ping-timeout", "for a sign of life after it", &limits::ping_timeout);
    seconds("accept-timeout", "for a consumer to accept a WebSocket", &limits::accept_timeout);
    seconds("close-timeout", "for the other side's close frame", &limits::close_timeout);
    amount("mailbox-events-max", "events that wait for a busy consumer",
           &limits::mailbox_events_max, 1u, 1'000'000u);
    amount("mailbox-bytes-max", "client messages that wait for a busy consumer",
           &limits::mailbox_bytes_max, std::size_t{1024}, gib);
    amount("outbox-bytes-max", "waiting for a client that does not read; above: close 4408",
           &limits::outbox_bytes_max, std::size_t{1024}, gib);
    amount("outbox-bytes-soft", "the same for outbox-soft-duration", &limits::outbox_bytes_soft,
           std::size_t{1024}, gib);
    seconds("outbox-soft-duration", "how long a client may stay above outbox-bytes-soft",
            &limits::outbox_soft_duration);
    amount("compress-bytes-min", "smaller WebSocket messages are sent uncompressed",
           &limits::compress_bytes_min, std::size_t{0}, gib);
    amount("blocking-queue-max", "blocking calls that wait for a thread",
           &limits::blocking_queue_max, 1u, 1'000'000u);
}

} // namespace carillon::app
