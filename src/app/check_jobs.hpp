// What `check` finds out about the job queue: whether its broker and its result store answer.
#pragma once

#include <vector>

#include "app/check_layer.hpp"

namespace carillon::app {

// Changes nothing there, except that the embedded queue is made when it is not there. Takes at most a few seconds for a
// server that does not answer.
std::vector<finding> examine_jobs(const settings& config);

} // namespace carillon::app
