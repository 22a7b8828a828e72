#include "app/layer_settings.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/option_kinds.hpp"
#include "net/redis/address.hpp"

namespace carillon::app {

namespace {

constexpr std::string_view scheme_end = "://";

// "redis://127.0.0.1:6379/0" with "+pubsub" and a masked password.
std::string shown_host(const net::redis::address& host, bool pubsub) {
    const auto name = host.name();
    const auto at = name.find(scheme_end);
    auto scheme = name.substr(0, at);
    if (pubsub)
        scheme.insert(scheme.find_first_of("+:") == std::string::npos ? scheme.size()
                                                                      : scheme.find_first_of("+:"),
                      "+pubsub");
    const auto user = host.password.empty() && host.username.empty()
                          ? std::string()
                          : host.username + (host.password.empty() ? "@" : ":***@");
    return scheme + std::string(scheme_end) + user + name.substr(at + scheme_end.size());
}

bool on_this_machine(const net::redis::endpoint& server) {
    return !server.path.empty() || server.host == "localhost" || server.host == "::1" ||
           server.host.starts_with("127.");
}

} // namespace

bool layer_on_redis(const settings& config) noexcept { return config.channel_layer != "memory:"; }

channel_layer_options layer_options(const settings& config) {
    channel_layer_options options;
    options.prefix = config.channel_prefix;
    options.capacity = config.channel_capacity;
    options.expiry = config.channel_expiry;
    options.group_expiry = config.group_expiry;
    if (layer_on_redis(config)) {
        const auto servers = net::redis::parse_addresses(config.channel_layer);
        options.pubsub_names = servers && servers->pubsub;
    }
    return options;
}

result<channels::redis_layer_options> redis_options(const settings& config) {
    auto servers = net::redis::parse_addresses(config.channel_layer);
    if (!servers)
        return servers.error();
    channels::redis_layer_options options;
    options.common = layer_options(config);
    options.servers = *std::move(servers);
    options.codec.format = config.channel_serializer == "json" ? wire::layer::serializer::json
                                                               : wire::layer::serializer::msgpack;
    options.codec.random_prefix_bytes = config.channel_random_prefix;
    options.codec.keys = config.channel_keys;
    for (const auto& text : config.channel_capacities) {
        auto rule = capacity_rule_of(text);
        if (!rule)
            return rule.error();
        options.capacities.push_back(*std::move(rule));
    }
    options.node_capacity = config.channel_node_capacity;
    options.send_timeout = config.channel_send_timeout;
    options.settle_time = config.channel_settle_time;
    options.unconfirmed_events_max = config.channel_unconfirmed_max;
    options.undelivered_events_max = config.channel_undelivered_max;
    options.message_bytes_max = config.channel_message_bytes_max;
    return options;
}

result<std::unique_ptr<channels::redis_layer>> make_redis_layer(const settings& config,
                                                                channels::hub* members,
                                                                channels::mailboxes* boxes,
                                                                logger& log, metrics& counters) {
    auto options = redis_options(config);
    if (!options)
        return options.error();
    if (const auto warning = layer_warning(config))
        log.warning("events cross the network unencrypted", {{"reason", *warning}});
    return channels::redis_layer::make(*std::move(options), members, boxes, log, counters);
}

result<channels::capacity_rule> capacity_rule_of(std::string_view text) {
    const auto equals = text.rfind('=');
    if (equals == std::string_view::npos || equals == 0)
        return bad_value(text, "PATTERN=NUMBER, such as specific.*=500");
    const auto capacity = parse_number<std::uint32_t>(text.substr(equals + 1), 1, 1'000'000);
    if (!capacity)
        return failure{errc::invalid, fmt::format("'{}': {}", text, capacity.error().message)};
    return channels::capacity_rule{std::string(text.substr(0, equals)), *capacity};
}

std::string shown_layer(const settings& config) {
    if (!layer_on_redis(config))
        return config.channel_layer;
    const auto servers = net::redis::parse_addresses(config.channel_layer);
    if (!servers)
        return "********";
    std::vector<std::string> hosts;
    for (const auto& host : servers->hosts)
        hosts.push_back(shown_host(host, servers->pubsub));
    return fmt::format("{}", fmt::join(hosts, ","));
}

std::optional<std::string> layer_warning(const settings& config) {
    if (!layer_on_redis(config) || !config.channel_keys.empty())
        return {};
    const auto servers = net::redis::parse_addresses(config.channel_layer);
    if (!servers)
        return {};
    for (const auto& host : servers->hosts)
        if (!host.tls && !std::ranges::all_of(host.servers, on_this_machine))
            return fmt::format("everybody on the way to {} can read and forge events; use "
                               "rediss:// or set channel-key",
                               host.name());
    return {};
}

} // namespace carillon::app
