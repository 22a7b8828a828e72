// The log as lines on standard error: pretty for people, JSON for machines. One line per event, written by spdlog.
#pragma once

#include <memory>

#include <carillon/base/log.hpp>

namespace carillon::app {

// `format` is "pretty" or "json". Thread-safe.
std::unique_ptr<logger> make_log(std::string_view format, log_level least);

} // namespace carillon::app
