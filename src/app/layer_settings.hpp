// What the settings of the channel layer mean: which layer, with which options, and what is doubtful about them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channels/redis/redis_layer.hpp"
#include <carillon/app/settings.hpp>
#include <carillon/base/result.hpp>

namespace carillon::app {

// False: the memory layer.
bool layer_on_redis(const settings& config) noexcept;
// What both kinds need.
channel_layer_options layer_options(const settings& config);
// Of a process whose layer is on Redis. errc::invalid.
result<channels::redis_layer_options> redis_options(const settings& config);
// That layer, not started yet, and layer_warning() in the log. Arguments as of redis_layer::make().
result<std::unique_ptr<channels::redis_layer>> make_redis_layer(const settings& config,
                                                                channels::hub* members,
                                                                channels::mailboxes* boxes,
                                                                logger& log, metrics& counters);

// One entry of channel-capacities, PATTERN=NUMBER.
result<channels::capacity_rule> capacity_rule_of(std::string_view text);

// The address of the layer with its passwords masked.
std::string shown_layer(const settings& config);
// A sentence when events would cross a network readably; else nothing.
std::optional<std::string> layer_warning(const settings& config);

} // namespace carillon::app
