// The channel layer over HTTP, for tests: orders in, the confirmed outcome out.
#pragma once

#include <carillon/web/routes.hpp>

namespace interop {

// POST /layer/group_send/<group>    an event            {"queues": n, "full": n}
// POST /layer/send/<channel>        an event            the same
// POST /layer/group_add, /layer/group_discard           {"group", "channel"}
// POST /layer/stream                {"groups": [..], "publisher", "first", "count", "batch", "pause_ms"}: sends
//                                   {"publisher", "n"} with n = first … to each group in turn, and rests after each
//                                   batch of numbers; answers what became of all of them
// Failures are answered with their code as every error is. `layer` outlives the routes.
carillon::routes control_routes(carillon::channel_layer& layer);

} // namespace interop
