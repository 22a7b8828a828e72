// What operators ask a running server: /healthz, /readyz, /metrics.
#pragma once

#include <carillon/app/app.hpp>

namespace carillon::app {

// Routes that come before the site's own. `shared` outlives them.
routes operation_routes(services& shared);

// The counters in Prometheus' text format.
std::string prometheus_text(const metrics& counters);

} // namespace carillon::app
