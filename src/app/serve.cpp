#include "app/beat.hpp"
#include "app/commands.hpp"

#include <cstdio>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/layer_settings.hpp"
#include "app/operations.hpp"
#include "app/remote_control.hpp"
#include "app/stop_signals.hpp"
#include "channels/memory_layer.hpp"
#include "net/acceptor.hpp"
#include "web/http_session.hpp"
#include <carillon/jobs/worker_pool.hpp>

namespace carillon::app {

namespace {

// Each connection is a descriptor: take all that the system allows.
void raise_descriptor_limit() {
    rlimit descriptors{};
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0 &&
        descriptors.rlim_cur < descriptors.rlim_max) {
        descriptors.rlim_cur = descriptors.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &descriptors);
    }
}

result<std::vector<net::listener>> open_listeners(const settings& config) {
    std::vector<net::listener> listeners;
    for (const auto& text : config.bind) {
        const auto address = net::parse_bind_address(text);
        if (!address)
            return address.error();
        if (config.demo && !address->loopback())
            return failure{
                errc::invalid,
                fmt::format(
                    "--demo asks nobody to sign in, so it serves loopback only; '{}' is not. "
                    "Leave --demo out to serve other addresses",
                    text)};
        auto opened = net::listener::open(*address);
        if (!opened)
            return opened.error();
        listeners.push_back(*std::move(opened));
    }
    return listeners;
}

// Everything that serves, in the order in which it is made; it ends in the reverse one.
struct running_server {
    running_server(const settings& config, logger& log, metrics& counters)
        : pool(config.blocking_threads, config.limit.blocking_queue_max, counters),
          environment{config.limit, log, counters, pool}, members(counters),
          boxes(layer_options(config), counters), memory(members, boxes) {}
    // However the start ended: nobody asks parts that are gone, and Redis' thread reaches for no shard that is.
    ~running_server() {
        if (server)
            server->stop();
        pool.stop();
        if (redis)
            redis->stop(std::chrono::milliseconds(0));
    }

    net::blocking_pool pool;
    net::environment environment;
    readiness ready;
    channels::hub members;
    channels::mailboxes boxes;
    channels::memory_layer memory;
    std::unique_ptr<channels::redis_layer> redis; // null: memory is the layer
    std::optional<net::tls_context> tls;
    std::unique_ptr<runtime> parts;
    std::optional<web::site> site;
    std::unique_ptr<net::server> server;
    std::unique_ptr<relay_server> relay;
    std::unique_ptr<jobs::beat> beat;
    std::unique_ptr<worker_pool> workers;
    std::unique_ptr<jobs::worker_node> node; // goes before the workers
    background_routes background;            // outlives the workers
    std::unique_ptr<background_workers> consumers;

    channel_layer& layer() noexcept {
        if (redis)
            return *redis;
        return memory;
    }
    result<void> start(application& app, const settings& config, logger& log, metrics& counters);
    void start_shards(std::vector<net::listener> listeners, const settings& config);
    result<void> open_layer(const settings& config, logger& log);
    result<void> start_workers(application& app, const settings& config);
    // True when no handler stayed.
    bool stop_workers(const settings& config, logger& log);
    bool stop(const settings& config, logger& log);
    // While others may still work with all of it: jobs go back to their queues. The process ends then.
    void quit(logger& log);
};

result<void> running_server::start(application& app, const settings& config, logger& log,
                                   metrics& counters) {
    if (!config.tls_cert.empty()) {
        auto context = net::tls_context::load(config.tls_cert, config.tls_key);
        if (!context)
            return context.error();
        tls.emplace(*std::move(context));
    }
    auto listeners = open_listeners(config);
    if (!listeners)
        return listeners.error();
    if (layer_on_redis(config)) {
        auto made = make_redis_layer(config, &members, &boxes, log, counters);
        if (!made)
            return made.error();
        redis = *std::move(made);
    }
    auto started = runtime::start(app, config, log, counters, &layer());
    if (!started)
        return started.error();
    parts = *std::move(started);
    add_site_checks(ready, parts->shared());
    auto table = operation_routes(counters, ready);
    for (auto& one : app.urls(parts->shared()))
        table.push_back(std::move(one));
    web::site_options policies;
    policies.allowed_hosts = config.allowed_hosts;
    policies.trusted_proxies = config.trusted_proxies;
    site.emplace(std::move(table), std::move(policies), config.limit, counters, log, layer(),
                 members, boxes);
    if (config.beat)
        ready.add("beat", [] {
            return result<void>(failure{errc::unavailable, "it has not begun yet"});
        });
    start_shards(*std::move(listeners), config);
    if (auto opened = open_layer(config, log); !opened)
        return opened;
    if (config.beat) {
        auto beating = start_beat(app, *parts);
        if (!beating)
            return beating.error();
        beat = *std::move(beating);
        ready.add("beat", [this] { return beat->ping(); });
    }
    return config.workers > 0 ? start_workers(app, config) : result<void>();
}

// Other processes reach this one from here on.
result<void> running_server::open_layer(const settings& config, logger& log) {
    if (redis) {
        redis->start();
        return {};
    }
    auto relayed =
        relay_server::start(relay_socket_path(config.data_dir), memory, log, &environment.counted);
    if (!relayed)
        return relayed.error();
    relay = *std::move(relayed);
    return {};
}

result<void> running_server::start_workers(application& app, const settings& config) {
    auto& shared = parts->shared();
    background = app.background(shared);
    if (!background.empty()) {
        auto started =
            background_workers::start(background, 1, layer(), shared.log, shared.counters);
        if (!started)
            return started.error();
        consumers = *std::move(started);
    }
    worker_options options;
    options.threads = config.workers;
    options.name = "serve@%h";
    auto pooled = worker_pool::start(parts->jobs(), options);
    if (!pooled)
        return pooled.error();
    workers = *std::move(pooled);
    node = attach_node(app, *parts, *workers, false, {});
    return {};
}

void running_server::start_shards(std::vector<net::listener> listeners, const settings& config) {
    const auto threads =
        config.threads ? config.threads : std::max(1u, std::thread::hardware_concurrency());
    server =
        std::make_unique<net::server>(threads, environment, std::move(listeners),
                                      tls ? &*tls : nullptr, [this](const net::peer_name& peer) {
                                          return std::make_unique<web::http_session>(*site, peer);
                                      });
    std::vector<net::shard*> shards;
    for (std::uint32_t i = 0; i < server->size(); ++i)
        shards.push_back(&server->at(i));
    members.attach(std::move(shards));
    site->prepare(server->size(), environment.counted);
    server->start();
}

bool running_server::stop_workers(const settings& config, logger& log) {
    if (beat)
        beat->stop();
    // Both at once: they share the grace.
    auto handlers = std::async(std::launch::async, [this, until = now() + config.shutdown_grace] {
        return !consumers || consumers->stop(until);
    });
    bool clean = true;
    if (workers) {
        const auto report = workers->stop(now() + config.shutdown_grace,
                                          now() + config.shutdown_grace + std::chrono::seconds(5));
        node.reset();
        log.info("workers stopped", {{"finished", report.finished},
                                     {"handed_back", report.returned},
                                     {"abandoned", report.abandoned}});
        clean = report.clean();
    }
    if (!handlers.get())
        log.warning("a background consumer is still busy and is waited for");
    return clean;
}

void running_server::quit(logger& log) {
    if (!workers)
        return;
    const auto report = workers->quit(now() + cold_stop_limit);
    log.warning("workers were told to quit", {{"finished", report.finished},
                                              {"handed_back", report.returned},
                                              {"abandoned", report.abandoned}});
}

bool running_server::stop(const settings& config, logger& log) {
    server->stop();
    const bool clean = stop_workers(config, log);
    relay.reset();
    if (redis) {
        redis->flush(now() + std::chrono::seconds(2));
        redis->stop();
    }
    pool.stop();
    return clean;
}

void announce(const application& app, const settings& config, const net::server& server,
              logger& log) {
    const char* scheme = config.tls_cert.empty() ? "http" : "https";
    for (const auto& one : server.listeners()) {
        const auto name = one.name();
        const auto address =
            name.starts_with("unix:") ? name : fmt::format("{}://{}/", scheme, name);
        log.info("serving", {{"address", address},
                             {"threads", server.size()},
                             {"workers", config.workers},
                             {"demo", config.demo}});
        if (::isatty(STDOUT_FILENO) == 1)
            fmt::print("\n  {} {} is at {}\n  Ctrl-C stops it.\n\n", app.name(), app.version(),
                       address);
    }
    std::fflush(stdout);
}

} // namespace

int serve(application& app, const settings& config) {
    stop_signals signals;
    raise_descriptor_limit();
    auto log = log_for(config);
    metrics counters;
    if (auto made = prepare_data_dir(config.data_dir); !made)
        return fail(made.error());
    auto alone = data_dir_lock::take(config.data_dir);
    if (!alone)
        return fail(alone.error());
    running_server running(config, *log, counters);
    if (auto started = running.start(app, config, *log, counters); !started)
        return fail(started.error());
    announce(app, config, *running.server, *log);
    const auto quit = [&] { running.quit(*log); };
    if (signals.wait() == stop_signals::way::cold)
        stop_signals::end_cold(quit);
    log->info("stopping: sockets close with 1012, running jobs finish or are handed back");
    signals.expect_more(quit);
    const bool clean = running.stop(config, *log);
    signals.close();
    if (!clean)
        stop_signals::end_cold(quit);
    log->info("stopped");
    return 0;
}

} // namespace carillon::app
