// The routes that measurements and conformance suites need. Only with --bench: they are open to everybody.
#pragma once

#include <carillon/channels/channel_layer.hpp>
#include <carillon/web/routes.hpp>

namespace showcase::bench {

// WS /ws/echo/ sends text and binary back as they come, up to 16 MiB. WS /ws/bench/<name>/ joins the group
// bench_<name>; what is posted to /bench/<name>/ reaches it as event bench.message.
carillon::routes urls(carillon::channel_layer& layer);

} // namespace showcase::bench
