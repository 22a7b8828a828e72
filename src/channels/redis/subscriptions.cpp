#include "channels/redis/subscriptions.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace carillon::channels::redis {

using wire::redis::command;
using wire::redis::reply;

namespace {

constexpr auto all = std::numeric_limits<std::size_t>::max();

net::redis::client_options for_subscriptions(net::redis::client_options connection) {
    connection.role = "subscriptions";
    return connection;
}

} // namespace

subscriptions::subscriptions(net::loop& on, const net::redis::address& where, std::size_t host,
                             net::redis::client_options connection, registry& topics,
                             subscriptions_events& events, logger& log, layer_counters& counted)
    : loop_(on), host_(host), topics_(topics), events_(events), log_(log),
      client_(std::make_unique<net::redis::client>(
          on, where, for_subscriptions(std::move(connection)),
          static_cast<net::redis::client_events&>(*this), log, counted.connections)),
      refused_(log, "Redis does not let this process hear a channel") {}

subscriptions::~subscriptions() {
    if (retry_)
        loop_.cancel(*retry_);
}

std::string subscriptions::refusal() const {
    std::lock_guard lock(guard_);
    return refusal_;
}

void subscriptions::set_refusal(std::string text) {
    std::lock_guard lock(guard_);
    refusal_ = std::move(text);
}

void subscriptions::on_up() noexcept {
    restoring_ = true;
    set_refusal({});
    topics_.restore(host_);
    std::vector<registry::change> wanted;
    for (auto& one : topics_.take(host_, all, true))
        if (one.wanted)
            wanted.push_back(std::move(one));
        else // a new connection hears nothing anyway
            topics_.acknowledge(host_, one);
    send(true, std::move(wanted));
    look_whether_subscribed();
}

void subscriptions::on_down(const failure& why) noexcept {
    restoring_ = subscribed_ = false;
    under_way_.clear();
    // Before anybody is called who waited with an event, which then waits for the restoration.
    events_.on_unsubscribed(host_, why);
    topics_.away(host_);
}

// What came meanwhile may be under way for ever, so it is not waited for.
void subscriptions::look_whether_subscribed() {
    if (!restoring_ || !under_way_.empty())
        return;
    restoring_ = false;
    subscribed_ = true;
    topics_.return_with_changes(host_);
    update();
    events_.on_subscribed(host_);
}

void subscriptions::update() {
    if (!subscribed_)
        return; // on_up() takes everything
    std::vector<registry::change> wanted, unwanted;
    for (auto& one : topics_.take(host_, all))
        (one.wanted ? wanted : unwanted).push_back(std::move(one));
    send(true, std::move(wanted));
    send(false, std::move(unwanted));
}

void subscriptions::send(bool subscribes, std::vector<registry::change> topics) {
    for (std::size_t from = 0; from < topics.size(); from += names_max) {
        const auto until = std::min(topics.size(), from + names_max);
        command what(subscribes ? "SUBSCRIBE" : "UNSUBSCRIBE");
        sent some{subscribes, {}, 0};
        for (auto at = from; at < until; ++at) {
            what.add(topics[at].name);
            some.topics.push_back(std::move(topics[at]));
        }
        under_way_.push_back(std::move(some));
        client_->send_push(what);
    }
}

void subscriptions::on_push(reply pushed) noexcept {
    if (pushed.is_error())
        return on_refused(pushed.text);
    if (pushed.kind != reply::what::list || pushed.items.size() != 3)
        return;
    const auto& kind = pushed.items[0].text;
    const auto& topic = pushed.items[1].text;
    if (kind == "message")
        events_.on_message(topic, pushed.items[2].text);
    else
        acknowledge(kind == "subscribe", topic);
}

void subscriptions::acknowledge(bool subscribes, const std::string& topic) {
    if (under_way_.empty())
        return;
    auto& first = under_way_.front();
    if (first.subscribes != subscribes || first.topics[first.acknowledged].name != topic)
        return;
    const auto done = std::move(first.topics[first.acknowledged]);
    if (++first.acknowledged == first.topics.size())
        under_way_.pop_front();
    topics_.acknowledge(host_, done);
    look_whether_subscribed();
}

// An error is the answer to a whole command: an access list allows some channels only, or no SUBSCRIBE at all.
void subscriptions::on_refused(const std::string& why) {
    if (under_way_.empty())
        return;
    auto what = std::move(under_way_.front());
    under_way_.pop_front();
    if (what.subscribes && what.topics.size() > 1)
        return try_one_by_one(std::move(what));
    const auto& topic = what.topics.front().name;
    refused_.warn(why, topic);
    set_refusal(fmt::format("Redis does not let this process hear '{}': {}", topic, why));
    // Nobody shall wait for it.
    for (const auto& one : what.topics)
        topics_.acknowledge(host_, one);
    retry_later();
    look_whether_subscribed();
}

void subscriptions::try_one_by_one(sent what) {
    std::unordered_set<std::string_view> outdated; // something later was sent for them
    for (const auto& later : under_way_)
        for (const auto& one : later.topics)
            outdated.insert(one.name);
    std::vector<registry::change> again;
    for (auto& one : what.topics)
        if (outdated.contains(one.name))
            topics_.acknowledge(host_, one);
        else
            again.push_back(std::move(one));
    for (auto& one : again)
        send(true, {std::move(one)});
    look_whether_subscribed();
}

void subscriptions::retry_later() {
    if (retry_)
        return;
    retry_ = loop_.at(now() + retry_interval, [this] {
        retry_.reset();
        if (!subscribed_)
            return;
        set_refusal({});
        topics_.renew(host_);
    });
}

} // namespace carillon::channels::redis
