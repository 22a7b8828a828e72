// hub: the members of all groups on all shards of this process, and the way of an event to them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channels/group_table.hpp"
#include "net/shard.hpp"
#include <carillon/base/metrics.hpp>

namespace carillon::channels {

// Hears which groups have members in this process. Calls for one group come in the order of what happened; they are
// made under the hub's lock and must be quick and not call back.
class group_watcher {
public:
    virtual void on_first_member(std::string_view group) = 0;
    virtual void on_last_member_left(std::string_view group) = 0;

protected:
    ~group_watcher() = default;
};

// The shards must not run yet when they are named, and must outlive the hub's last call.
class hub {
public:
    explicit hub(metrics& counted);
    void attach(std::vector<net::shard*> shards);
    // At most one, before the first join; it outlives every shard.
    void watch(group_watcher& watcher) noexcept { watcher_ = &watcher; }

    // --- on the subscriber's shard ---

    // Takes effect at once: what is published after the return reaches `who`.
    void join(net::shard& home, std::string_view group, subscriber& who);
    void leave(net::shard& home, std::string_view group, subscriber& who);
    void leave_all(net::shard& home, subscriber& who);
    bool is_member(net::shard& home, std::string_view group, const subscriber& who) const noexcept;

    // --- from any thread ---

    // To every member on every shard. One message per shard that has members; never runs a handler before it returns.
    // In the order of calls for each calling thread. `credit` is released when the last shard has handed the event to
    // its members, so that whoever reads events from elsewhere does not read faster than they are handled. Returns
    // false when no shard has members.
    bool publish(std::string_view group, const event& e, std::shared_ptr<void> credit = nullptr);
    // To everybody who is in any group, once each.
    void tell_everybody(const event& e);
    // How many times an event was handed to a member.
    std::int64_t delivered() const noexcept { return delivered_.get(); }

private:
    // Which shards have members of a group, in stripes, so that publishers of different groups do not meet.
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct stripe {
        std::mutex guard;
        std::unordered_map<std::string, std::vector<std::uint32_t>, text_hash, std::equal_to<>>
            shards_of;
    };
    stripe& stripe_of(std::string_view group) noexcept;
    void enlist(std::string_view group, std::uint32_t shard);
    void strike(std::string_view group, std::uint32_t shard);

    std::vector<net::shard*> shards_;
    std::vector<std::unique_ptr<group_table>> tables_;
    std::array<stripe, 64> stripes_;
    group_watcher* watcher_ = nullptr;
    counter& published_;
    counter& delivered_;
};

} // namespace carillon::channels
