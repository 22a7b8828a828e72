// The background consumer behind the channel `jobs`, the counterpart of the Django site's.
#pragma once

#include <carillon/channels/background.hpp>

namespace interop {

carillon::background_routes job_routes();

} // namespace interop
