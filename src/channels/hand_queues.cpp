#include "channels/hand_queues.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace carillon::channels {

class hand_queues::source final : public channel_source {
public:
    source(hand_queues& owner, std::string channel) : owner_(owner), channel_(std::move(channel)) {}

    std::optional<event> receive(steady_time deadline) override {
        std::unique_lock lock(owner_.guard_);
        auto& from = owner_.queue_of(channel_);
        ++from.readers;
        auto taken = wait(from, deadline, lock);
        --from.readers;
        // The wake-up of an event that this reader leaves behind belongs to another one.
        if (!from.events.empty())
            from.arrived.notify_one();
        else if (from.readers == 0)
            owner_.queues_.erase(channel_);
        return taken;
    }

    void interrupt() override {
        std::lock_guard lock(owner_.guard_);
        interrupted_ = true;
        if (const auto found = owner_.queues_.find(channel_); found != owner_.queues_.end())
            found->second.arrived.notify_all();
    }

private:
    std::optional<event> wait(queue& from, steady_time deadline,
                              std::unique_lock<std::mutex>& lock) {
        while (!interrupted_) {
            if (auto taken = owner_.oldest(from))
                return taken;
            if (from.arrived.wait_until(lock, deadline) == std::cv_status::timeout)
                return interrupted_ ? std::nullopt : owner_.oldest(from);
        }
        return {};
    }

    hand_queues& owner_;
    const std::string channel_;
    bool interrupted_ = false; // under the owner's lock
};

hand_queues::hand_queues(const channel_layer_options& options, metrics& counted)
    : capacity_(options.capacity), expiry_(options.expiry),
      full_(counted.add(metric_kind::counter, "carillon_layer_dropped_total",
                        "Events that a channel did not take", {{"reason", "capacity"}})),
      expired_(counted.add(metric_kind::counter, "carillon_layer_dropped_total",
                           "Events that a channel did not take", {{"reason", "expiry"}})) {}

hand_queues::queue& hand_queues::queue_of(std::string_view channel) {
    const auto found = queues_.find(channel);
    return found != queues_.end() ? found->second : queues_[std::string(channel)];
}

result<void> hand_queues::put(std::string_view channel, const event& e) {
    std::lock_guard lock(guard_);
    return enqueue(channel, e);
}

result<void> hand_queues::enqueue(std::string_view channel, const event& e) {
    sweep();
    auto& into = queue_of(channel);
    while (!into.events.empty() && into.events.front().expires < now()) {
        into.events.pop_front();
        expired_.add();
    }
    if (into.events.size() >= capacity_) {
        full_.add();
        return failure{errc::channel_full,
                       fmt::format("channel {} holds {} events already", channel, capacity_)};
    }
    into.events.push_back({e, now() + expiry_});
    into.arrived.notify_one();
    return {};
}

// Nobody may ever take from a channel that was named by hand, and names cost the sender nothing.
void hand_queues::sweep() {
    if (queues_.size() < sweep_at_)
        return;
    const auto present = now();
    std::erase_if(queues_, [&](const auto& named) {
        const auto& [events, arrived, readers] = named.second;
        if (readers > 0 || (!events.empty() && events.back().expires >= present))
            return false;
        expired_.add(static_cast<std::int64_t>(events.size()));
        return true;
    });
    sweep_at_ = std::max<std::size_t>(64, 2 * queues_.size());
}

std::optional<event> hand_queues::oldest(queue& from) {
    while (!from.events.empty()) {
        auto first = std::move(from.events.front());
        from.events.pop_front();
        if (first.expires >= now())
            return std::move(first.e);
        expired_.add();
    }
    return {};
}

std::optional<event> hand_queues::take(std::string_view channel) {
    std::lock_guard lock(guard_);
    const auto found = queues_.find(channel);
    if (found == queues_.end())
        return {};
    auto taken = oldest(found->second);
    if (found->second.events.empty() && found->second.readers == 0)
        queues_.erase(found);
    return taken;
}

std::unique_ptr<channel_source> hand_queues::reader(std::string channel) {
    return std::make_unique<source>(*this, std::move(channel));
}

void hand_queues::join(std::string_view group, std::string_view channel) {
    std::lock_guard lock(guard_);
    auto& channels = members_[std::string(group)];
    if (std::ranges::find(channels, channel) == channels.end())
        channels.emplace_back(channel);
    any_members_.store(true, std::memory_order_release);
}

void hand_queues::leave(std::string_view group, std::string_view channel) {
    std::lock_guard lock(guard_);
    const auto found = members_.find(group);
    if (found == members_.end())
        return;
    std::erase(found->second, channel);
    if (found->second.empty())
        members_.erase(found);
    any_members_.store(!members_.empty(), std::memory_order_release);
}

delivery hand_queues::put_to_members(std::string_view group, const event& e) {
    delivery told;
    if (!any_members_.load(std::memory_order_acquire))
        return told;
    std::lock_guard lock(guard_);
    const auto found = members_.find(group);
    if (found == members_.end())
        return told;
    for (const auto& channel : found->second) {
        ++told.queues;
        if (!enqueue(channel, e))
            ++told.full;
    }
    return told;
}

std::size_t hand_queues::size() {
    std::lock_guard lock(guard_);
    return queues_.size();
}

} // namespace carillon::channels
