#include "app/check_layer.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/layer_settings.hpp"
#include "net/redis/client.hpp"
#include <carillon/base/clock.hpp>

namespace carillon::app {

namespace {

using net::redis::address;
using std::chrono::microseconds;
using wire::redis::command;
using wire::redis::reply;

constexpr std::chrono::milliseconds patience{3'000};
constexpr int oldest_version = 5; // BZPOPMIN
// Expiry, and the age of encrypted events, compare clocks of different machines.
constexpr std::chrono::seconds clock_difference_max{5};

std::string first_line(std::string_view text) {
    return std::string(text.substr(0, text.find('\r')));
}

// The value of one line "name:value" of INFO; empty when it is not there.
std::string info_value(std::string_view info, std::string_view name) {
    const auto line = fmt::format("\n{}:", name);
    const auto at = info.find(line);
    return at == std::string_view::npos ? std::string() : first_line(info.substr(at + line.size()));
}

// One host of the layer.
class examination {
public:
    examination(const address& host, const settings& config, bool pubsub,
                std::vector<finding>& found)
        : host_(host), config_(config), pubsub_(pubsub), found_(found),
          name_("channel layer " + host.name()) {}

    void run() {
        const auto pong = ask({"PING"});
        if (!pong)
            return wrong(unreachable(pong.error()));
        if (pong->is_error())
            return wrong(fmt::format("it answers {}", pong->text));
        const auto before = found_.size();
        examine_server();
        examine_permissions();
        if (!pubsub_)
            examine_clock();
        bool fine = true;
        for (auto i = before; i < found_.size(); ++i)
            fine = fine && found_[i].how != finding::grade::wrong;
        if (fine)
            found_.push_back({finding::grade::ok, name_ + version_, ""});
    }

private:
    result<reply> ask(const command& what) { return net::redis::ask(host_, what, patience); }
    void wrong(std::string message) {
        found_.push_back({finding::grade::wrong, name_, std::move(message)});
    }
    void warn(std::string message) {
        found_.push_back({finding::grade::warning, name_, std::move(message)});
    }

    std::string unreachable(const failure& why) const {
        if (why.code == errc::unauthorized)
            return fmt::format("{}; mend user and password in channel-layer", why.message);
        if (why.code == errc::invalid)
            return fmt::format("{}; mend channel-layer", why.message);
        return fmt::format("cannot be reached: {}; is it running, and is the address in "
                           "channel-layer right?",
                           why.message);
    }

    void examine_server();
    void examine_permissions();
    void examine_clock();

    const address& host_;
    const settings& config_;
    const bool pubsub_;
    std::vector<finding>& found_;
    const std::string name_;
    std::string version_;
};

void examination::examine_server() {
    const auto info = ask({"INFO"});
    if (!info || info->is_error())
        return warn(fmt::format("its version and memory policy are unknown, since INFO is refused: "
                                "{}",
                                info ? info->text : info.error().message));
    const auto version = info_value(info->text, "redis_version");
    version_ = fmt::format(" (Redis {})", version);
    int major = 0;
    std::from_chars(version.data(), version.data() + version.size(), major);
    if (!pubsub_ && major < oldest_version)
        wrong(fmt::format("it is version {}; version {} or newer is needed", version,
                          oldest_version));
    if (info_value(info->text, "role") == "slave")
        wrong("it is a replica, which takes no events; name its master, or use redis+sentinel://");
    if (!pubsub_ && info_value(info->text, "cluster_enabled") == "1")
        wrong("it is a node of a cluster, where groups cannot work; use separate servers");
    const auto policy = info_value(info->text, "maxmemory_policy");
    if (!pubsub_ && !policy.empty() && policy != "noeviction")
        warn(fmt::format("maxmemory-policy is {}: when memory is short, Redis forgets memberships "
                         "and events without a word; set it to noeviction",
                         policy));
}

// Each command of the layer, in a form that changes nothing.
void examination::examine_permissions() {
    const auto key = config_.channel_prefix + "carillon.check";
    const std::vector<command> needed =
        pubsub_ ? std::vector<command>{{"PUBLISH", key, ""}}
                : std::vector<command>{{"EVAL", "return 1", "1", key},
                                       {"SCRIPT", "EXISTS", std::string(40, '0')},
                                       {"ZADD", key, "XX", "1", "check"},
                                       {"EXPIRE", key, "1"},
                                       {"ZREM", key, "check"},
                                       {"ZRANGE", key, "0", "-1"},
                                       {"ZREMRANGEBYSCORE", key, "0", "1"},
                                       {"ZPOPMIN", key},
                                       {"BZPOPMIN", key, "0.01"},
                                       {"DEL", key}};
    std::vector<std::string> refused;
    for (const auto& one : needed) {
        const auto answer = ask(one);
        if (!answer)
            return wrong(unreachable(answer.error()));
        if (answer->is_error() && answer->error_code() == "NOPERM")
            refused.emplace_back(one.name());
        else if (answer->is_error() && one.name() != "BZPOPMIN") // version 5 takes whole seconds
            wrong(fmt::format("{} fails: {}", one.name(), answer->text));
    }
    if (!refused.empty())
        wrong(fmt::format("its user may not use {0} on {1}*; grant it: ACL SETUSER NAME ~{1}* "
                          "&{1}* {2}",
                          fmt::join(refused, ", "), config_.channel_prefix,
                          pubsub_ ? "+publish +subscribe +unsubscribe +ping"
                                  : "+@sortedset +@scripting +expire +del +ping"));
}

void examination::examine_clock() {
    const auto before = utc_now();
    const auto time = ask({"TIME"});
    const auto after = utc_now();
    if (!time || time->is_error() || time->items.size() != 2)
        return warn(fmt::format("its clock is unknown, since TIME is refused: {}",
                                time ? time->text : time.error().message));
    const auto number = [](const std::string& text) {
        std::int64_t parsed = 0;
        std::from_chars(text.data(), text.data() + text.size(), parsed);
        return parsed;
    };
    const utc_time theirs{std::chrono::seconds(number(time->items[0].text)) +
                          microseconds(number(time->items[1].text))};
    const auto difference = theirs < before  ? theirs - before
                            : theirs > after ? theirs - after
                                             : microseconds(0);
    if (std::chrono::abs(difference) > clock_difference_max)
        wrong(fmt::format("its clock is {:.1f} s {} ours; events expire by the sender's clock, so "
                          "set all clocks by NTP",
                          std::abs(static_cast<double>(difference.count())) / 1e6,
                          difference.count() < 0 ? "behind" : "ahead of"));
}

} // namespace

std::vector<finding> examine_layer(const settings& config) {
    std::vector<finding> found;
    if (!layer_on_redis(config))
        return {{finding::grade::ok, "channel layer memory:", ""}};
    const auto servers = net::redis::parse_addresses(config.channel_layer);
    if (!servers)
        return {{finding::grade::wrong, "channel layer", servers.error().message}};
    for (const auto& host : servers->hosts)
        examination(host, config, servers->pubsub, found).run();
    if (auto warning = layer_warning(config))
        found.push_back({finding::grade::warning, "channel layer", *std::move(warning)});
    return found;
}

} // namespace carillon::app
