// The beat of a site: the schedules of its application and of the configuration file, enqueued when they are due.
#pragma once

#include <memory>

#include "app/runtime.hpp"
#include "jobs/beat/beat.hpp"

namespace carillon::app {

// Runs until the result is destroyed; `parts` outlives it. errc::invalid for an entry that cannot work, errc::not_found
// for one of a task that the embedded queue does not know; carillon::error as register_schedules() throws it.
result<std::unique_ptr<jobs::beat>> start_beat(application& site, runtime& parts);

} // namespace carillon::app
