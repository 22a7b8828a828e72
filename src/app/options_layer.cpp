#include <algorithm>

#include <fmt/ranges.h>

#include "app/layer_settings.hpp"
#include "app/option_kinds.hpp"
#include "net/redis/address.hpp"

namespace carillon::app {

namespace {

constexpr auto layer_urls = "memory:, redis://HOST:PORT/DB, rediss:// with TLS, unix:///PATH, "
                            "redis+sentinel://HOST,HOST/MASTER/DB, or redis+pubsub:// and the like";

// The scheme of what should be a URL, in lower case; the rest may hold a password.
std::string scheme_of(std::string_view text) {
    const auto end = text.find(':');
    std::string scheme(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
    for (char& c : scheme) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        if (!(c >= 'a' && c <= 'z') && c != '+' && c != ':')
            return "";
    }
    return scheme;
}

result<void> set_layer(settings& s, const std::vector<std::string>& given) {
    const auto& url = given.back();
    if (url != "memory:") {
        const auto scheme = scheme_of(url);
        if (!scheme.starts_with("redis") && !scheme.starts_with("unix"))
            return failure{errc::invalid,
                           fmt::format("{} no channel layer that this version has: {}",
                                       scheme.empty() ? "this is" : "'" + scheme + "' is",
                                       layer_urls)};
        if (auto parsed = net::redis::parse_addresses(url); !parsed)
            return parsed.error();
    }
    s.channel_layer = url;
    return {};
}

option layer_option() {
    option made{"channel-layer", "memory:|URL",
                "who carries events between processes: " + std::string(layer_urls) +
                    "; several hosts with commas share the channels"};
    made.set = set_layer;
    made.get = shown_layer;
    return made;
}

option prefix_option() {
    auto made = text_option("channel-prefix", "TEXT",
                            "what the names of all Redis keys begin with, as Channels' prefix",
                            &settings::channel_prefix);
    made.set = [](settings& s, const std::vector<std::string>& given) -> result<void> {
        constexpr std::size_t bytes_max = 64;
        const auto& text = given.back();
        const bool plain =
            std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c != 0x7f; });
        if (text.empty() || text.size() > bytes_max || !plain)
            return bad_value(text, "1 to 64 bytes without spaces");
        s.channel_prefix = text;
        return {};
    };
    return made;
}

option capacities_option() {
    auto made = list_option(
        "channel-capacities", "PATTERN=NUMBER",
        "capacity of the channels whose name a shell pattern matches; the first that does counts",
        &settings::channel_capacities, true);
    made.set = [](settings& s, const std::vector<std::string>& given) -> result<void> {
        for (const auto& one : given)
            if (auto rule = capacity_rule_of(one); !rule)
                return rule.error();
        s.channel_capacities = given;
        return {};
    };
    return made;
}

option key_option() {
    option made{"channel-key", "TEXT",
                "encrypts events on Redis, as Channels' symmetric_encryption_keys: the first key "
                "encrypts, all decrypt"};
    made.secret = made.list = made.whole_items = true;
    made.set = [](settings& s, const std::vector<std::string>& given) -> result<void> {
        if (std::ranges::any_of(given, &std::string::empty))
            return failure{errc::invalid,
                           "a key must not be empty; leave the setting out to encrypt nothing"};
        s.channel_keys = given;
        return {};
    };
    made.get = [](const settings& s) {
        return fmt::format(
            "{}", fmt::join(std::vector<std::string>(s.channel_keys.size(), "********"), ","));
    };
    return made;
}

} // namespace

void add_layer_options(std::vector<option>& all) {
    all.push_back(layer_option());
    all.push_back(prefix_option());
    all.push_back(number_option("channel-capacity", "events that may wait in one channel",
                                &settings::channel_capacity, 1u, 1'000'000u));
    all.push_back(capacities_option());
    all.push_back(number_option("channel-node-capacity",
                                "the same for the queue of a process of Carillon, on Redis",
                                &settings::channel_node_capacity, 1u, 1'000'000u));
    all.push_back(seconds_option(
        "channel-expiry", "how long an event may wait in a channel",
        [](settings& s) -> std::chrono::seconds& { return s.channel_expiry; }, 1));
    all.push_back(seconds_option(
        "group-expiry", "how long a membership on Redis lasts; it is renewed at half of it",
        [](settings& s) -> std::chrono::seconds& { return s.group_expiry; }, 2,
        366 * seconds_of_a_day));
    all.push_back(key_option());
    all.push_back(choice_option("channel-serializer", "how events are written on Redis",
                                {"msgpack", "json"}, &settings::channel_serializer));
    all.push_back(number_option("channel-random-prefix",
                                "random bytes before each event; all peers must agree; not pubsub",
                                &settings::channel_random_prefix, 0u, 64u));
    all.push_back(seconds_option(
        "channel-send-timeout", "how long an event may wait for a Redis that is away",
        [](settings& s) -> std::chrono::seconds& { return s.channel_send_timeout; }, 1));
    all.push_back(seconds_option(
        "channel-settle-time",
        "how long events wait for other processes when Redis comes back without its data",
        [](settings& s) -> std::chrono::seconds& { return s.channel_settle_time; }, 0, 60));
    all.push_back(number_option("channel-unconfirmed-max",
                                "events that this process sent and Redis has not confirmed",
                                &settings::channel_unconfirmed_max, 1u, 10'000'000u));
    all.push_back(number_option("channel-undelivered-max",
                                "events read from Redis that consumers have not handled",
                                &settings::channel_undelivered_max, 1u, 1'000'000u));
    all.push_back(number_option("channel-message-bytes-max", "an event from Redis",
                                &settings::channel_message_bytes_max, std::uint64_t{1024},
                                std::uint64_t{512u << 20}));
}

} // namespace carillon::app
