#include "app/options.hpp"

#include <algorithm>
#include <charconv>
#include <concepts>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace carillon {

std::string settings::database_url() const {
    return database.empty() ? "sqlite:" + (data_dir / "carillon.db").string() : database;
}

} // namespace carillon

namespace carillon::app {

namespace {

failure bad(std::string_view text, std::string_view wanted) {
    return {errc::invalid, fmt::format("'{}' is not {}", text, wanted)};
}

template <std::unsigned_integral T>
result<T> number(const std::string& text, T low, T high) {
    T parsed = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (problem != std::errc{} || end != text.data() + text.size() || parsed < low || parsed > high)
        return bad(text, fmt::format("a whole number from {} to {}", low, high));
    return parsed;
}

option text_option(std::string name, std::string values, std::string help,
                   std::string settings::*member) {
    option made{std::move(name), std::move(values), std::move(help)};
    made.set = [member](settings& s, const std::vector<std::string>& given) {
        s.*member = given.back();
        return result<void>();
    };
    made.get = [member](const settings& s) { return s.*member; };
    return made;
}

option list_option(std::string name, std::string values, std::string help,
                   std::vector<std::string> settings::*member, bool may_be_empty) {
    option made{std::move(name), std::move(values), std::move(help)};
    made.list = true;
    made.set = [member, may_be_empty](settings& s,
                                      const std::vector<std::string>& given) -> result<void> {
        if (given.empty() && !may_be_empty)
            return failure{errc::invalid, "at least one value is needed"};
        s.*member = given;
        return {};
    };
    made.get = [member](const settings& s) { return fmt::format("{}", fmt::join(s.*member, ",")); };
    return made;
}

template <class Owner, std::unsigned_integral T>
option number_option(std::string name, std::string help, Owner settings::*owner, T Owner::*member,
                     T low, T high) {
    option made{std::move(name), "NUMBER", std::move(help)};
    made.set = [=](settings& s, const std::vector<std::string>& given) -> result<void> {
        auto parsed = number<T>(given.back(), low, high);
        if (!parsed)
            return parsed.error();
        s.*owner.*member = *parsed;
        return {};
    };
    made.get = [=](const settings& s) { return std::to_string(s.*owner.*member); };
    return made;
}

template <std::unsigned_integral T>
option number_option(std::string name, std::string help, T settings::*member, T low, T high) {
    option made{std::move(name), "NUMBER", std::move(help)};
    made.set = [=](settings& s, const std::vector<std::string>& given) -> result<void> {
        auto parsed = number<T>(given.back(), low, high);
        if (!parsed)
            return parsed.error();
        s.*member = *parsed;
        return {};
    };
    made.get = [=](const settings& s) { return std::to_string(s.*member); };
    return made;
}

using seconds_member = std::chrono::seconds&(settings&);

option seconds_option(std::string name, std::string help, std::function<seconds_member> member,
                      std::uint32_t low) {
    option made{std::move(name), "SECONDS", std::move(help)};
    made.set = [member, low](settings& s, const std::vector<std::string>& given) -> result<void> {
        auto parsed = number<std::uint32_t>(given.back(), low, 86'400);
        if (!parsed)
            return parsed.error();
        member(s) = std::chrono::seconds(*parsed);
        return {};
    };
    made.get = [member](const settings& s) {
        auto copy = s;
        return std::to_string(member(copy).count());
    };
    return made;
}

option choice_option(std::string name, std::string help, std::vector<std::string> choices,
                     std::string settings::*member) {
    auto made = text_option(std::move(name), fmt::format("{}", fmt::join(choices, "|")),
                            std::move(help), member);
    made.set = [choices, member](settings& s,
                                 const std::vector<std::string>& given) -> result<void> {
        if (std::ranges::find(choices, given.back()) == choices.end())
            return bad(given.back(), fmt::format("one of {}", fmt::join(choices, ", ")));
        s.*member = given.back();
        return {};
    };
    return made;
}

// A part that has one implementation in this version: other URLs are refused with what is there.
option url_option(std::string name, std::string help, std::string settings::*member,
                  std::string only) {
    auto made = text_option(std::move(name), only, std::move(help), member);
    made.set = [member, only](settings& s, const std::vector<std::string>& given) -> result<void> {
        if (!given.back().starts_with(only))
            return bad(given.back(), fmt::format("supported by this version, which has {}", only));
        s.*member = given.back();
        return {};
    };
    return made;
}

option data_dir_option() {
    option made{"data-dir", "FOLDER", "uploads, results, embedded database and queue"};
    made.set = [](settings& s, const std::vector<std::string>& given) {
        s.data_dir = given.back();
        return result<void>();
    };
    made.get = [](const settings& s) { return s.data_dir.string(); };
    return made;
}

option log_level_option() {
    static constexpr std::string_view names[] = {"debug", "info", "warning", "error"};
    option made{"log-level", "debug|info|warning|error",
                "the least important lines that are written"};
    made.set = [](settings& s, const std::vector<std::string>& given) -> result<void> {
        const auto* found = std::ranges::find(names, given.back());
        if (found == std::end(names))
            return bad(given.back(), "one of debug, info, warning, error");
        s.level = static_cast<log_level>(found - names);
        return {};
    };
    made.get = [](const settings& s) {
        return std::string(names[static_cast<std::size_t>(s.level)]);
    };
    return made;
}

void add_limits(std::vector<option>& all) {
    const auto seconds = [&](std::string name, std::string help,
                             std::chrono::seconds limits::*member) {
        all.push_back(seconds_option(
            std::move(name), std::move(help),
            [member](settings& s) -> std::chrono::seconds& { return s.limit.*member; }, 1));
    };
    const auto amount = [&]<class T>(std::string name, std::string help, T limits::*member, T low,
                                     T high) {
        all.push_back(
            number_option(std::move(name), std::move(help), &settings::limit, member, low, high));
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

std::vector<option> make_options() {
    std::vector<option> all;
    all.push_back(list_option("bind", "HOST:PORT|[::1]:PORT|unix:PATH", "where to listen",
                              &settings::bind, false));
    all.push_back(data_dir_option());
    all.push_back(url_option("database",
                             "where the tables are; default sqlite:<data-dir>/carillon.db",
                             &settings::database, "sqlite:"));
    all.push_back(url_option("channel-layer", "who carries events between processes",
                             &settings::channel_layer, "memory:"));
    all.push_back(number_option("channel-capacity", "events that may wait in one channel",
                                &settings::channel_capacity, 1u, 1'000'000u));
    all.push_back(seconds_option(
        "channel-expiry", "how long an event may wait in a channel",
        [](settings& s) -> std::chrono::seconds& { return s.channel_expiry; }, 1));
    all.push_back(url_option("broker", "where jobs wait", &settings::broker, "embedded:"));
    all.push_back(url_option("result-backend", "where results of jobs are kept",
                             &settings::result_backend, "embedded:"));
    all.push_back(number_option("workers",
                                "worker threads inside serve; 0: only worker processes run jobs",
                                &settings::workers, 0u, 1024u));
    all.push_back(number_option("threads", "reactor threads; 0: the number of cores",
                                &settings::threads, 0u, 256u));
    all.push_back(number_option("blocking-threads",
                                "threads for blocking handlers and database calls",
                                &settings::blocking_threads, 1u, 1024u));
    all.push_back(list_option("allowed-hosts", "HOST,.DOMAIN,*",
                              "Host headers and origins that are served, as Django's ALLOWED_HOSTS",
                              &settings::allowed_hosts, false));
    all.push_back(list_option("trusted-proxies", "ADDRESS|unix",
                              "whose X-Forwarded-For and -Proto are believed",
                              &settings::trusted_proxies, true));
    all.push_back(text_option("tls-cert", "FILE",
                              "PEM certificate with its chain; then https and wss",
                              &settings::tls_cert));
    all.push_back(
        text_option("tls-key", "FILE", "PEM private key of the certificate", &settings::tls_key));
    all.push_back(choice_option("log-format",
                                "how lines look; default pretty on a terminal, else json",
                                {"pretty", "json"}, &settings::log_format));
    all.push_back(log_level_option());
    all.push_back(seconds_option(
        "shutdown-grace",
        "for running jobs to finish when a worker stops; then they are handed back",
        [](settings& s) -> std::chrono::seconds& { return s.shutdown_grace; }, 0));
    add_limits(all);
    return all;
}

} // namespace

const std::vector<option>& options() {
    static const auto all = make_options();
    return all;
}

const option* find_option(std::string_view name) {
    std::string with_dashes(name);
    std::ranges::replace(with_dashes, '_', '-');
    const auto found = std::ranges::find(options(), with_dashes, &option::name);
    return found == options().end() ? nullptr : &*found;
}

std::string environment_name(const option& one) {
    std::string made = "CARILLON_";
    for (const char c : one.name)
        made += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    return made;
}

} // namespace carillon::app
