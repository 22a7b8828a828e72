// Schedules of the configuration file: the tables [schedule.NAME].
#pragma once

#include <string>
#include <vector>

#include <toml++/toml.h>

#include <carillon/base/result.hpp>
#include <carillon/jobs/schedule.hpp>

namespace carillon::app {

// `node` is what the file has under "schedule". The failure names file and line.
result<std::vector<schedule_entry>> read_schedules(const toml::node& node, const std::string& path);

} // namespace carillon::app
