// The consumers that a Django site of this kind has: reports, wards, dashboards, tasks, notifications.
#pragma once

#include <carillon/web/routes.hpp>

namespace interop {

// `layer` outlives the routes.
carillon::routes consumer_routes(carillon::channel_layer& layer);

} // namespace interop
