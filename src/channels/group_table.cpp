#include "channels/group_table.hpp"

#include <algorithm>
#include <unordered_set>

namespace carillon::channels {

group_table::change group_table::join(std::string_view name, subscriber& who) {
    auto found = groups_.find(name);
    if (found == groups_.end()) {
        found = groups_.emplace(std::string(name), group_entry{}).first;
        found->second.name = found->first;
    }
    auto& group = found->second;
    for (const auto& membership : who.memberships_)
        if (membership.group == &group)
            return change::none;
    who.memberships_.push_back({&group, static_cast<std::uint32_t>(group.members.size())});
    group.members.push_back(&who);
    return ++group.live == 1 ? change::first : change::none;
}

group_table::change group_table::leave(std::string_view name, subscriber& who) noexcept {
    const auto found = groups_.find(name);
    if (found == groups_.end())
        return change::none;
    auto& group = found->second;
    auto mine = std::ranges::find(who.memberships_, &group, &subscriber::membership::group);
    if (mine == who.memberships_.end())
        return change::none;
    const auto place = mine->place;
    *mine = who.memberships_.back();
    who.memberships_.pop_back();
    remove_place(group, place);
    if (--group.live > 0)
        return change::none;
    drop_if_empty(group);
    return change::last;
}

// The last member takes the empty place, except while the list is being walked.
void group_table::remove_place(group_entry& group, std::uint32_t place) noexcept {
    if (group.dispatching > 0) {
        group.members[place] = nullptr;
        return;
    }
    auto* moved = group.members.back();
    group.members[place] = moved;
    group.members.pop_back();
    if (place == group.members.size())
        return;
    for (auto& membership : moved->memberships_)
        if (membership.group == &group)
            membership.place = place;
}

// Members may join and leave meanwhile, also by being told.
template <class F>
void group_table::walk(group_entry& group, F&& visit) {
    const auto end = group.members.size();
    ++group.dispatching;
    for (std::size_t i = 0; i < end; ++i)
        if (auto* who = group.members[i])
            visit(*who);
    if (--group.dispatching == 0) {
        if (group.live < group.members.size())
            compact(group);
        drop_if_empty(group);
    }
}

std::size_t group_table::dispatch(std::string_view name, const event& e) {
    const auto found = groups_.find(name);
    if (found == groups_.end())
        return 0;
    const std::shared_ptr<void> no_slot;
    std::size_t reached = 0;
    walk(found->second, [&](subscriber& who) {
        who.on_event(e, no_slot);
        ++reached;
    });
    return reached;
}

void group_table::dispatch_to_all(const event& e) {
    std::vector<std::string> names;
    for (const auto& [name, group] : groups_)
        names.push_back(name);
    std::unordered_set<const subscriber*> told;
    for (const auto& name : names)
        if (const auto found = groups_.find(name); found != groups_.end())
            walk(found->second, [&](subscriber& who) {
                if (told.insert(&who).second)
                    who.on_event(e, nullptr);
            });
}

void group_table::compact(group_entry& group) noexcept {
    std::erase(group.members, nullptr);
    for (std::uint32_t place = 0; place < group.members.size(); ++place)
        for (auto& membership : group.members[place]->memberships_)
            if (membership.group == &group)
                membership.place = place;
}

void group_table::drop_if_empty(group_entry& group) noexcept {
    if (group.live == 0 && group.dispatching == 0)
        groups_.erase(groups_.find(group.name));
}

bool group_table::contains(std::string_view name, const subscriber& who) const noexcept {
    return std::ranges::any_of(who.memberships_, [&](const subscriber::membership& one) {
        return one.group->name == name;
    });
}

std::size_t group_table::size(std::string_view name) const noexcept {
    const auto found = groups_.find(name);
    return found == groups_.end() ? 0 : found->second.live;
}

} // namespace carillon::channels
