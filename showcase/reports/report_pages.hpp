// What the reports answer over HTTP and WebSocket (docs/reports.md).
#pragma once

#include "reports/report_store.hpp"
#include <carillon/app/app.hpp>

namespace showcase::reports {

// Both outlive the routes. Reports whose job is not in the queue (the server died between the two) are marked failed.
carillon::routes urls(carillon::services& shared, report_store& store);

} // namespace showcase::reports
