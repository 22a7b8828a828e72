#include "channels/hub.hpp"

#include <algorithm>

#include <carillon/base/assert.hpp>

namespace carillon::channels {

hub::hub(metrics& counted)
    : published_(counted.add(metric_kind::counter, "carillon_events_published_total",
                             "Events sent to a group")),
      delivered_(counted.add(metric_kind::counter, "carillon_events_delivered_total",
                             "Events handed to a member of a group")) {}

void hub::attach(std::vector<net::shard*> shards) {
    shards_ = std::move(shards);
    for (std::size_t i = 0; i < shards_.size(); ++i)
        tables_.push_back(std::make_unique<group_table>());
}

hub::stripe& hub::stripe_of(std::string_view group) noexcept {
    return stripes_[std::hash<std::string_view>{}(group) % stripes_.size()];
}
void hub::enlist(std::string_view group, std::uint32_t shard) {
    auto& part = stripe_of(group);
    std::lock_guard lock(part.guard);
    auto found = part.shards_of.find(group);
    if (found == part.shards_of.end()) {
        found = part.shards_of.emplace(std::string(group), std::vector<std::uint32_t>{}).first;
        if (watcher_)
            watcher_->on_first_member(group);
    }
    found->second.push_back(shard);
}

void hub::strike(std::string_view group, std::uint32_t shard) {
    auto& part = stripe_of(group);
    std::lock_guard lock(part.guard);
    const auto found = part.shards_of.find(group);
    if (found == part.shards_of.end())
        return;
    std::erase(found->second, shard);
    if (!found->second.empty())
        return;
    part.shards_of.erase(found);
    if (watcher_)
        watcher_->on_last_member_left(group);
}

void hub::join(net::shard& home, std::string_view group, subscriber& who) {
    if (tables_[home.index()]->join(group, who) == group_table::change::first)
        enlist(group, home.index());
}

void hub::leave(net::shard& home, std::string_view group, subscriber& who) {
    if (tables_[home.index()]->leave(group, who) == group_table::change::last)
        strike(group, home.index());
}

void hub::leave_all(net::shard& home, subscriber& who) {
    tables_[home.index()]->leave_all(who,
                                     [&](std::string_view group) { strike(group, home.index()); });
}

bool hub::is_member(net::shard& home, std::string_view group,
                    const subscriber& who) const noexcept {
    return tables_[home.index()]->contains(group, who);
}

bool hub::publish(std::string_view group, const event& e, std::shared_ptr<void> credit) {
    published_.add();
    auto& part = stripe_of(group);
    std::lock_guard lock(part.guard);
    const auto found = part.shards_of.find(group);
    if (found == part.shards_of.end())
        return false;
    for (const auto index : found->second)
        net::hand_over(*shards_[index], [this, index, name = std::string(group), e, credit] {
            delivered_.add(static_cast<std::int64_t>(tables_[index]->dispatch(name, e)));
        });
    return true;
}

void hub::tell_everybody(const event& e) {
    for (std::size_t index = 0; index < shards_.size(); ++index)
        net::hand_over(*shards_[index], [this, index, e] { tables_[index]->dispatch_to_all(e); });
}

} // namespace carillon::channels
