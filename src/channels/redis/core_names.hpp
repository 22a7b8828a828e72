// core_names: the names and keys of the core layer, and on which host each lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "channels/redis/redis_layer.hpp"

namespace carillon::channels::redis {

// Immutable.
class core_names {
public:
    // `process` is empty in a process that receives nothing.
    core_names(std::string prefix, std::string process, std::size_t hosts);

    std::string group_key(std::string_view group) const;
    // Of the channel's non-local part.
    std::string queue_key(std::string_view channel) const;
    std::size_t host_of_group(std::string_view group) const noexcept;
    // Of a channel whose name holds a '!'.
    std::size_t host_of_queue(std::string_view channel) const noexcept;

    // "specific.<process>!": what all names of this process begin with. Empty without a process.
    const std::string& own() const noexcept { return own_; }
    bool is_own(std::string_view channel) const noexcept;
    // The one member that this process is in a group of Redis: own() + "g.<group>", or own() + "h.<32 hex digits of
    // the SHA-256>" where that would be too long for a channel's name.
    std::string entry_of(std::string_view group) const;

private:
    const std::string prefix_, own_;
    const std::size_t hosts_;
};

// What follows own() in the entry of a group.
inline constexpr std::string_view entry_by_name = "g.", entry_by_hash = "h.";

// How many messages may wait in the queue of this channel. `channel` is the whole name; of several in one queue, the
// first one's.
std::uint32_t capacity_of(const redis_layer_options& options, std::string_view channel);

} // namespace carillon::channels::redis
