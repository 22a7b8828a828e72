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

// The shards must not run yet when they are named, and must outlive the hub's last call.
class hub {
public:
    explicit hub(metrics& counted);
    void attach(std::vector<net::shard*> shards);

    // --- on the subscriber's shard ---

    // Takes effect at once: what is published after the return reaches `who`.
    void join(net::shard& home, std::string_view group, subscriber& who);
    void leave(net::shard& home, std::string_view group, subscriber& who);
    void leave_all(net::shard& home, subscriber& who);

    // --- from any thread ---

    // To every member on every shard. One message per shard that has members; never runs a handler before it returns.
    // In the order of calls for each calling thread.
    void publish(std::string_view group, const event& e);

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
    counter& published_;
    counter& delivered_;
};

} // namespace carillon::channels
