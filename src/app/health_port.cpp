#include "app/health_port.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace carillon::app {

namespace {

// Probes need few. What others open there must not take the descriptors that jobs need.
constexpr std::uint32_t connections_max = 64;
constexpr std::uint32_t questions_waiting_max = connections_max;
// An answer takes moments: whoever has not taken it by then does not keep the process.
constexpr std::chrono::seconds drain_max{1};

web::memory_site_options options_of(services& shared) {
    web::memory_site_options made;
    made.limit = shared.config.limit;
    made.limit.connections_max = std::min(made.limit.connections_max, connections_max);
    made.limit.blocking_queue_max = std::min(made.limit.blocking_queue_max, questions_waiting_max);
    made.limit.drain_timeout = std::min(made.limit.drain_timeout, drain_max);
    made.options.allowed_hosts = {"*"};
    made.pool_threads = 1;
    made.log = &shared.log;
    made.counters = &shared.counters;
    return made;
}

} // namespace

result<std::vector<net::listener>> health_port::listen(const settings& config) {
    std::vector<net::listener> listeners;
    if (config.health_bind.empty())
        return listeners;
    const auto address = net::parse_bind_address(config.health_bind);
    if (!address)
        return address.error();
    auto opened = net::listener::open(*address, "--health-bind");
    if (!opened)
        return opened.error();
    listeners.push_back(*std::move(opened));
    return listeners;
}

health_port::health_port(std::vector<net::listener> listeners, services& shared,
                         const readiness& ready) {
    if (listeners.empty())
        return;
    const auto name = listeners.front().name();
    address_ = name.starts_with("unix:") ? name : fmt::format("http://{}/", name);
    site_ = std::make_unique<web::memory_site>(
        [&](channel_layer&) { return operation_routes(shared.counters, ready); },
        options_of(shared), std::move(listeners));
    site_->start();
}

} // namespace carillon::app
