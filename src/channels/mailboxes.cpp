#include "channels/mailboxes.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>

namespace carillon::channels {

namespace {

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
                           "Events that a channel did not take", {{"reason", "expiry"}})) {}

std::string mailboxes::open(net::shard& home, subscriber& who) {
    auto made = std::make_shared<box>();
    made->home = &home;
    made->who = &who;
    std::lock_guard lock(guard_);
    auto name = options_.pubsub_names
                    ? fmt::format("{}specific.{}", options_.prefix, random_hex32())
                    : fmt::format("specific.{}!{:032x}", process_, ++opened_);
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
    constexpr std::string_view label = "specific.";
    const auto bang = channel.find('!');
    if (bang != std::string_view::npos)
        return channel.starts_with(label) &&
               channel.substr(label.size(), bang - label.size()) == process_;
    return options_.pubsub_names && find(channel);
}

std::shared_ptr<mailboxes::box> mailboxes::find(std::string_view channel) {
    std::lock_guard lock(guard_);
    const auto found = boxes_.find(std::string(channel));
    return found == boxes_.end() ? nullptr : found->second;
}

result<void> mailboxes::send(std::string_view channel, const event& e,
                             std::shared_ptr<void> credit) {
    const bool by_hand = channel.find('!') == std::string_view::npos;
    if (by_hand && !options_.pubsub_names)
        return enqueue(channel, e);
    auto there = find(channel);
    if (!there)
        return by_hand ? enqueue(channel, e) : result<void>();
    if (there->held.fetch_add(1) >= options_.capacity) {
        there->held.fetch_sub(1);
        full_.add();
        return failure{errc::channel_full, fmt::format("channel {} holds {} events already",
                                                       channel, options_.capacity)};
    }
    const std::shared_ptr<void> slot(nullptr, [there](void*) { there->held.fetch_sub(1); });
    there->home->events().post(
        [this, there, slot, e, credit = std::move(credit), expires = now() + options_.expiry] {
            if (!there->who)
                return;
            if (now() > expires)
                return expired_.add();
            there->who->on_event(e, slot);
        });
    return {};
}

// Nobody may ever take from a channel that was named by hand, and names cost the sender nothing.
void mailboxes::sweep() {
    if (queues_.size() < sweep_at_)
        return;
    const auto present = now();
    std::erase_if(queues_, [&](const auto& named) {
        if (!named.second.empty() && named.second.back().expires >= present)
            return false;
        expired_.add(static_cast<std::int64_t>(named.second.size()));
        return true;
    });
    sweep_at_ = std::max<std::size_t>(64, 2 * queues_.size());
}

std::size_t mailboxes::queues() {
    std::lock_guard lock(guard_);
    return queues_.size();
}

result<void> mailboxes::enqueue(std::string_view channel, const event& e) {
    std::lock_guard lock(guard_);
    sweep();
    auto& queue = queues_[std::string(channel)];
    while (!queue.empty() && queue.front().expires < now()) {
        queue.pop_front();
        expired_.add();
    }
    if (queue.size() >= options_.capacity) {
        full_.add();
        return failure{errc::channel_full, fmt::format("channel {} holds {} events already",
                                                       channel, options_.capacity)};
    }
    queue.push_back({e, now() + options_.expiry});
    return {};
}

std::optional<event> mailboxes::take(std::string_view channel) {
    std::lock_guard lock(guard_);
    const auto found = queues_.find(std::string(channel));
    std::optional<event> taken;
    while (found != queues_.end() && !found->second.empty() && !taken) {
        if (found->second.front().expires < now())
            expired_.add();
        else
            taken = found->second.front().e;
        found->second.pop_front();
    }
    if (found != queues_.end() && found->second.empty())
        queues_.erase(found);
    return taken;
}

} // namespace carillon::channels
