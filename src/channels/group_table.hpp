// group_table: which subscribers of one shard are in which group.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <carillon/channels/event.hpp>

namespace carillon::channels {

class group_table;
struct group_entry;

// Somebody on a shard who receives events. Leaves all its groups when it is destroyed.
class subscriber {
public:
    subscriber() = default;
    subscriber(const subscriber&) = delete;
    // `slot` is the event's place in the channel it was sent to, given back when the last copy is dropped; null for
    // events of a group. Whoever cannot handle the event at once keeps it together with its slot.
    virtual void on_event(const event& e, const std::shared_ptr<void>& slot) noexcept = 0;

    std::size_t groups() const noexcept { return memberships_.size(); }

protected:
    virtual ~subscriber() = default;

private:
    friend class group_table;
    struct membership {
        group_entry* group;
        std::uint32_t place; // in the group's list of members
    };
    std::vector<membership> memberships_;
};

struct group_entry {
    std::string name;
    std::vector<subscriber*> members; // null where somebody left during a dispatch
    std::uint32_t live = 0;
    std::uint32_t dispatching = 0;
};

// Not thread-safe: one table per shard. Handlers may join and leave while an event is dispatched: who left before its
// turn gets nothing, who joined during the dispatch gets the next event.
class group_table {
public:
    enum class change { none, first, last };
    // `first`: the group came into being here. Joining twice changes nothing.
    change join(std::string_view group, subscriber& who);
    // `last`: the group has no more members here.
    change leave(std::string_view group, subscriber& who) noexcept;
    // Leaves every group; calls `emptied(name)` for each group that has no more members here.
    template <class F>
    void leave_all(subscriber& who, F&& emptied) {
        while (!who.memberships_.empty()) {
            const std::string name = who.memberships_.back().group->name;
            if (leave(name, who) == change::last)
                emptied(name);
        }
    }
    // Calls on_event of every member, in the order of joining as long as nobody left. Returns how many.
    std::size_t dispatch(std::string_view group, const event& e);
    // Calls on_event of everybody who is in any group, once each.
    void dispatch_to_all(const event& e);
    bool contains(std::string_view group, const subscriber& who) const noexcept;
    std::size_t size(std::string_view group) const noexcept;

private:
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    template <class F>
    void walk(group_entry& group, F&& visit);
    void remove_place(group_entry& group, std::uint32_t place) noexcept;
    void compact(group_entry& group) noexcept;
    void drop_if_empty(group_entry& group) noexcept;

    std::unordered_map<std::string, group_entry, text_hash, std::equal_to<>> groups_;
};

} // namespace carillon::channels
