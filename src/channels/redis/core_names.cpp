#include "channels/redis/core_names.hpp"

#include <fnmatch.h>

#include "wire/layer/message.hpp"
#include "wire/sha256.hpp"

namespace carillon::channels::redis {

core_names::core_names(std::string prefix, std::string process, std::size_t hosts)
    : prefix_(std::move(prefix)), own_(process.empty() ? process : "specific." + process + "!"),
      hosts_(hosts) {}

std::string core_names::group_key(std::string_view group) const {
    return (prefix_ + ":group:").append(group);
}

std::string core_names::queue_key(std::string_view channel) const {
    return std::string(prefix_).append(wire::layer::non_local_name(channel));
}

std::size_t core_names::host_of_group(std::string_view group) const noexcept {
    return wire::layer::host_index(group, hosts_);
}

std::size_t core_names::host_of_queue(std::string_view channel) const noexcept {
    return wire::layer::host_index(wire::layer::non_local_name(channel), hosts_);
}

bool core_names::is_own(std::string_view channel) const noexcept {
    return !own_.empty() && channel.starts_with(own_);
}

std::string core_names::entry_of(std::string_view group) const {
    auto name = (own_ + std::string(entry_by_name)).append(group);
    if (name.size() <= channel_name_chars_max)
        return name;
    return (own_ + std::string(entry_by_hash)).append(wire::sha256_hex(group), 0, 32);
}

std::uint32_t capacity_of(const redis_layer_options& options, std::string_view channel) {
    const std::string name(channel);
    for (const auto& rule : options.capacities)
        if (::fnmatch(rule.pattern.c_str(), name.c_str(), 0) == 0)
            return rule.capacity;
    const auto bang = channel.find('!');
    if (bang != std::string_view::npos) {
        const auto local = channel.substr(bang + 1);
        if (local.starts_with(entry_by_name) || local.starts_with(entry_by_hash))
            return options.node_capacity;
    }
    return options.common.capacity;
}

} // namespace carillon::channels::redis
