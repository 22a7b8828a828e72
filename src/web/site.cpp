#include "web/site.hpp"

#include <algorithm>

#include <sys/time.h>

#include "web/text.hpp"
#include "wire/http/response.hpp"
#include "wire/http/target.hpp"

namespace carillon::web {

const std::string& shard_tools::date() {
    const auto second =
        std::chrono::duration_cast<std::chrono::seconds>(utc_now().time_since_epoch()).count();
    if (second != http_date_second) {
        http_date_second = second;
        http_date = wire::http::http_date(second);
    }
    return http_date;
}

web_counters::web_counters(metrics& counted)
    : request_errors(counted.add(metric_kind::counter, "carillon_http_errors_total",
                                 "HTTP requests answered with 5xx")),
      refused_requests(counted.add(metric_kind::counter, "carillon_http_refused_total",
                                   "HTTP requests refused as malformed or above a limit")),
      protocol_errors(counted.add(metric_kind::counter, "carillon_protocol_errors_total",
                                  "WebSockets closed with 1002, 1007 or 1009")),
      slow_closed(
          counted.add(metric_kind::counter, "carillon_slow_closed_total",
                      "WebSockets closed with 4408: outbox_bytes_max or outbox_soft_duration")),
      slow_dropped(counted.add(metric_kind::counter, "carillon_slow_dropped_total",
                               "Frames dropped for slow clients of drop_newest routes")),
      mailbox_dropped(counted.add(
          metric_kind::counter, "carillon_mailbox_dropped_total",
          "Events dropped because a busy consumer's mailbox was full or they expired there")),
      events_unhandled(
          counted.add(metric_kind::counter, "carillon_events_unhandled_total",
                      "Events dropped because the consumer has no handler for their type")),
      ping_timeouts(
          counted.add(metric_kind::counter, "carillon_ping_timeouts_total",
                      "WebSockets cut because no sign of life came within ping_timeout")) {}

site::site(routes table, site_options given, const limits& limit_, metrics& counted, logger& log_,
           channel_layer& layer_, channels::hub& members_, channels::mailboxes& boxes_)
    : options(std::move(given)), limit(limit_), counters(counted), log(log_), layer(layer_),
      members(members_), boxes(boxes_) {
    for (auto& one : table) {
        pattern path(one.pattern_);
        routes_.push_back({std::move(one), std::move(path)});
    }
}

void site::prepare(std::uint32_t shards, metrics& counted) {
    for (std::uint32_t i = 0; i < shards; ++i)
        tools_.push_back(std::make_unique<shard_tools>());
    using kind = metric_kind;
    observe(counted, kind::counter, "carillon_http_requests_total", "HTTP requests answered",
            &shard_tools::requests);
    observe(counted, kind::counter, "carillon_websockets_opened_total", "WebSockets accepted",
            &shard_tools::sockets_opened);
    observe(counted, kind::gauge, "carillon_websockets_open", "WebSockets open now",
            &shard_tools::sockets_open);
    observe(counted, kind::counter, "carillon_messages_received_total",
            "WebSocket messages from clients", &shard_tools::messages_received);
    observe(counted, kind::counter, "carillon_frames_sent_total",
            "WebSocket frames queued for clients", &shard_tools::frames_sent);
}

void site::observe(metrics& counted, metric_kind kind, std::string_view name, std::string_view help,
                   local_counter shard_tools::*member) const {
    counted.observe(kind, name, help, [this, member] {
        std::int64_t sum = 0;
        for (const auto& one : tools_)
            sum += ((*one).*member).get();
        return static_cast<double>(sum);
    });
}

namespace {

// Adds a method to the value of an Allow header, once.
void allow(std::string& allowed, std::string_view method) {
    if (allowed.find(method) != std::string::npos)
        return;
    if (!allowed.empty())
        allowed += ", ";
    allowed += method;
}

} // namespace

route_match site::match(std::string_view method, std::string_view path) const {
    route_match answer;
    for (const auto& one : routes_) {
        const bool wanted_kind = method.empty() == one.options.method_.empty();
        if (!wanted_kind)
            continue;
        auto captured = one.path.match(path);
        if (!captured)
            continue;
        if (method == one.options.method_ || (method == "HEAD" && one.options.method_ == "GET")) {
            answer.found = &one.options;
            answer.kwargs = *std::move(captured);
            return answer;
        }
        allow(answer.allowed, one.options.method_);
        if (one.options.method_ == "GET")
            allow(answer.allowed, "HEAD");
    }
    return answer;
}

std::optional<scope> site::describe(wire::http::request_head&& head, bool encrypted,
                                    std::string peer, std::uint16_t peer_port,
                                    const char*& why) const {
    auto target = wire::http::split_target(head.target);
    if (!target) {
        why = "the path of the request is malformed";
        return {};
    }
    scope described;
    described.method = std::move(head.method);
    described.path = std::move(target->path);
    described.query_string = target->query;
    described.secure = encrypted;
    described.client_address = std::move(peer);
    described.client_port = peer_port;
    described.headers.reserve(head.headers.size());
    for (auto& [name, content] : head.headers)
        described.headers.emplace_back(std::move(name), std::move(content));
    const auto named = wire::http::parse_host(described.header("host"));
    if (!named && (head.version_minor > 0 || described.has_header("host"))) {
        why = "the Host header is malformed";
        return {};
    }
    if (named) {
        described.host = named->host;
        described.host_port = named->port;
    }
    if (!wire::http::host_allowed(described.host, options.allowed_hosts)) {
        why = "this Host is not served here; the operator can add it to --allowed-hosts";
        return {};
    }
    believe_proxy(described);
    return described;
}

// The rightmost address that is no trusted proxy is the client: what stands left of it may be invented by it.
void site::believe_proxy(scope& described) const {
    const auto trusted = [&](std::string_view address) {
        return std::ranges::find(options.trusted_proxies, address.empty() ? "unix" : address) !=
               options.trusted_proxies.end();
    };
    if (!trusted(described.client_address))
        return;
    // Some proxies add a header line of their own and leave the client's as it is: all lines are one list (RFC 9110
    // 5.3).
    std::string all;
    std::string_view scheme;
    for (const auto& [name, content] : described.headers)
        if (equal_ignoring_case(name, "x-forwarded-for"))
            (all += all.empty() ? "" : ",") += content;
        else if (equal_ignoring_case(name, "x-forwarded-proto"))
            scheme = trimmed(std::string_view(content).substr(content.rfind(',') + 1));
    std::string_view chain = all;
    while (!chain.empty()) {
        const auto comma = chain.rfind(',');
        const auto last =
            trimmed(comma == std::string_view::npos ? chain : chain.substr(comma + 1));
        chain = comma == std::string_view::npos ? std::string_view{} : chain.substr(0, comma);
        if (last.empty())
            continue;
        described.client_address = last;
        described.client_port = 0;
        if (!trusted(last))
            break;
    }
    if (!scheme.empty())
        described.secure =
            equal_ignoring_case(scheme, "https") || equal_ignoring_case(scheme, "wss");
}

bool site::origin_allowed(const scope& asked) const {
    std::optional<std::string_view> origin;
    for (const auto& [name, content] : asked.headers)
        if (equal_ignoring_case(name, "origin"))
            origin = content; // the last one counts, as in Channels
    return wire::http::origin_allowed(origin, options.allowed_hosts);
}

bool site::asked_by_other_site(const scope& asked) {
    if (asked.has_header("origin")) {
        const auto origin = asked.header("origin");
        const auto slashes = origin.find("://");
        if (slashes == std::string_view::npos)
            return true; // "null": a sandboxed page or a redirect across sites
        const bool https = origin.substr(0, slashes) == "https";
        const auto named = wire::http::parse_host(origin.substr(slashes + 3));
        // A Host without a port has the default of the origin's scheme: behind a proxy that ends TLS, ours may differ.
        const auto effective = [&](std::uint16_t port) { return port ? port : (https ? 443 : 80); };
        return !named || named->host != asked.host ||
               effective(named->port) != effective(asked.host_port);
    }
    const auto fetch_site = asked.header("sec-fetch-site");
    return fetch_site == "cross-site" || fetch_site == "same-site";
}

} // namespace carillon::web
