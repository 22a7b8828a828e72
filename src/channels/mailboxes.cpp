#include "channels/mailboxes.hpp"

#include <random>

#include <fmt/format.h>

namespace carillon::channels {

namespace {

constexpr std::string_view consumer_label = "specific.";

std::string random_hex32() {
    std::random_device source;
    return fmt::format("{:08x}{:08x}{:08x}{:08x}", source(), source(), source(), source());
}

} // namespace

mailboxes::mailboxes(const channel_layer_options& options, metrics& counted)
    : options_(options), process_(random_hex32()),
      full_(counted.add(metric_kind::counter, "carillon_layer_dropped_total",
                        "Events that a channel did not take", {{"reason", "capacity"}})),
      expired_(counted.add(metric_kind::counter, "carillon_layer_dropped_total",
                           "Events that a channel did not take", {{"reason", "expiry"}})),
      by_hand_(options, counted) {}

std::string mailboxes::open(net::shard& home, subscriber& who) {
    auto made = std::make_shared<box>();
    made->home = &home;
    made->who = &who;
    std::lock_guard lock(guard_);
    auto name = options_.pubsub_names
                    ? options_.prefix + std::string(consumer_label) + random_hex32()
                    : fmt::format("{}{}!{:032x}", consumer_label, process_, ++opened_);
    boxes_.emplace(name, std::move(made));
    if (watcher_)
        watcher_->on_opened(name);
    return name;
}

void mailboxes::close(const std::string& channel) {
    std::lock_guard lock(guard_);
    const auto found = boxes_.find(channel);
    if (found == boxes_.end())
        return;
    found->second->who = nullptr;
    boxes_.erase(found);
    if (watcher_)
        watcher_->on_closed(channel);
}

bool mailboxes::is_local(std::string_view channel) {
    const auto bang = channel.find('!');
    if (bang != std::string_view::npos)
        return channel.starts_with(consumer_label) &&
               channel.substr(consumer_label.size(), bang - consumer_label.size()) == process_;
    return options_.pubsub_names && find(channel);
}

std::shared_ptr<mailboxes::box> mailboxes::find(std::string_view channel) {
    std::lock_guard lock(guard_);
    const auto found = boxes_.find(std::string(channel));
    return found == boxes_.end() ? nullptr : found->second;
}

bool mailboxes::is_by_hand(std::string_view channel) const noexcept {
    if (channel.find('!') != std::string_view::npos)
        return false;
    return !options_.pubsub_names || !channel.starts_with(options_.prefix) ||
           !channel.substr(options_.prefix.size()).starts_with(consumer_label);
}

result<void> mailboxes::send(std::string_view channel, const event& e,
                             std::shared_ptr<void> credit) {
    if (is_by_hand(channel))
        return by_hand_.put(channel, e);
    auto there = find(channel);
    if (!there)
        return {};
    if (there->held.fetch_add(1) >= options_.capacity) {
        there->held.fetch_sub(1);
        full_.add();
        return failure{errc::channel_full, fmt::format("channel {} holds {} events already",
                                                       channel, options_.capacity)};
    }
    const std::shared_ptr<void> slot(nullptr, [there](void*) { there->held.fetch_sub(1); });
    net::hand_over(*there->home, [this, there, slot, e, credit = std::move(credit),
                                  expires = now() + options_.expiry] {
        if (!there->who)
            return;
        if (now() > expires)
            return expired_.add();
        there->who->on_event(e, slot);
    });
    return {};
}

} // namespace carillon::channels
