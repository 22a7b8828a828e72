// site: what all connections of one server share: the route table, the policies, the layer, and each shard's tools.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channels/hub.hpp"
#include "channels/mailboxes.hpp"
#include "net/shard.hpp"
#include "web/pattern.hpp"
#include "wire/http/request.hpp"
#include "wire/ws/deflate.hpp"
#include <carillon/base/metrics.hpp>
#include <carillon/channels/channel_layer.hpp>
#include <carillon/web/routes.hpp>

namespace carillon::web {

struct site_options {
    // Django's ALLOWED_HOSTS forms
    std::vector<std::string> allowed_hosts{"localhost", "127.0.0.1", "[::1]"};
    // addresses whose X-Forwarded-… headers are believed; "unix" for unix sockets
    std::vector<std::string> trusted_proxies;
};

// What one shard keeps for all its sessions.
struct shard_tools {
    wire::ws::inflater inflater;
    wire::ws::deflater deflater;
    // What is counted for every message: each shard its own, summed when read. Shards that shared one cache line would
    // wait for each other at every delivery.
    local_counter requests, messages_received, frames_sent, sockets_opened, sockets_open;
    // of the last line about an event without a handler: one a second is enough
    std::uint32_t warned_second = 0;
    std::string http_date;
    std::int64_t http_date_second = 0;

    // The Date header of this second.
    const std::string& date();
};

struct web_counters {
    explicit web_counters(metrics& counted);
    counter& request_errors;   // answered with 5xx
    counter& refused_requests; // malformed or above a limit: 4xx by the server itself
    counter& protocol_errors;  // closed with 1002, 1007 or 1009
    counter& slow_closed;
    counter& slow_dropped;
    counter& mailbox_dropped;
    counter& events_unhandled;
    counter& ping_timeouts;
};

struct compiled_route {
    route options;
    pattern path;
};

struct route_match {
    const route* found = nullptr;
    name_value_list kwargs;
    std::string allowed; // when the path exists, but not with this method: the value for Allow
};

// Immutable once its server runs, except for what is each shard's own.
class site {
public:
    site(routes table, site_options options, const limits& limit, metrics& counted, logger& log,
         channel_layer& layer, channels::hub& members, channels::mailboxes& boxes);

    // The shards' tools; once, before the server starts. `counted` must not be read after this site has ended.
    void prepare(std::uint32_t shards, metrics& counted);
    shard_tools& tools_of(const net::shard& home) const noexcept { return *tools_[home.index()]; }

    // The route of an HTTP method (HEAD finds GET's) or, with an empty method, of a WebSocket.
    route_match match(std::string_view method, std::string_view path) const;

    // What the head says, with the client's address as far as proxies are trusted. `why` says what is wrong when
    // nothing is returned.
    std::optional<scope> describe(wire::http::request_head&& head, bool encrypted, std::string peer,
                                  std::uint16_t peer_port, const char*& why) const;
    bool origin_allowed(const scope& asked) const;
    // Whether a browser says that another site asks (Origin, Sec-Fetch-Site).
    static bool asked_by_other_site(const scope& asked);

    const site_options options;
    const limits& limit;
    web_counters counters;
    logger& log;
    channel_layer& layer;
    channels::hub& members;
    channels::mailboxes& boxes;

private:
    void believe_proxy(scope& described) const;
    void observe(metrics& counted, metric_kind kind, std::string_view name, std::string_view help,
                 local_counter shard_tools::*member) const;

    std::vector<compiled_route> routes_;
    std::vector<std::unique_ptr<shard_tools>> tools_;
};

} // namespace carillon::web
