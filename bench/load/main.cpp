// carillon-bench: what a WebSocket push server costs, and whether it delivers.

#include <cmath>
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>
#include <sys/resource.h>

#include "load/measurements.hpp"
#include "load/usage_error.hpp"

namespace {

namespace bench = carillon::bench;

struct command {
    bench::options options;
    std::string url;
    bool json = false;
    bench::outcome (*run)(const bench::options&) = nullptr;
};

void require_descriptors(std::uint64_t wanted) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted && limit.rlim_max >= wanted) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < wanted)
        throw bench::usage_error(
            std::to_string(wanted) + " descriptors are needed and RLIMIT_NOFILE allows " +
            std::to_string(limit.rlim_cur) + "; split the connections over several runs");
}

void add_common(CLI::App& app, command& c, std::uint32_t conns) {
    bench::options& o = c.options;
    app.add_option("--url", c.url, "Where to connect, ws://ADDRESS:PORT/PATH")->required();
    app.add_option("--conns", o.pool.conns,
                   "Connections; " + std::to_string(conns) + " unless given")
        ->check(CLI::PositiveNumber);
    app.add_option("--server-pid", o.server_pids,
                   "Processes whose CPU and memory are counted, with their descendants")
        ->delimiter(',');
    app.add_option("--concurrency", o.pool.concurrency, "Handshakes under way at once")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--header", o.pool.headers,
                   "One more request header, 'Name: value'; repeatable");
    app.add_option("--settle", o.settle_s, "Pause before memory is read, in seconds")
        ->capture_default_str();
    app.add_flag("--json", c.json, "One JSON object instead of a table");
    app.parse_complete_callback([&c, conns] {
        if (c.options.pool.conns == 0)
            c.options.pool.conns = conns;
    });
}

void add_fanout(CLI::App& app, command& c) {
    bench::options& o = c.options;
    CLI::App& sub =
        *app.add_subcommand("fanout", "One message to all subscribers: losses, latency, "
                                      "CPU per delivery");
    add_common(sub, c, 1000);
    sub.add_option("--publish-url", o.publish_url,
                   "http://… takes messages as POST bodies, ws://… as text frames")
        ->required();
    sub.add_option("--publish-depth", o.publish_depth, "POSTs that may be unanswered at once")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    sub.add_option("--messages", o.messages, "Counted messages")->capture_default_str();
    sub.add_option("--warmup", o.warmup, "Messages before them")->capture_default_str();
    sub.add_option("--window", o.window, "Messages not yet with everyone")->capture_default_str();
    sub.add_option("--payload", o.payload_bytes, "Bytes of a message")->capture_default_str();
    sub.callback([&c] { c.run = bench::measure_fanout; });
}

void add_echo(CLI::App& app, command& c) {
    CLI::App& sub = *app.add_subcommand("echo", "Round trips");
    add_common(sub, c, 100);
    sub.add_option("--inflight", c.options.inflight, "Messages under way on each connection")
        ->capture_default_str();
    sub.add_option("--payload", c.options.payload_bytes, "Bytes of a message")
        ->capture_default_str();
    sub.add_option("--seconds", c.options.seconds, "How long")->capture_default_str();
    sub.callback([&c] { c.run = bench::measure_echo; });
}

void add_storm(CLI::App& app, command& c) {
    CLI::App& sub = *app.add_subcommand("storm", "Connect and close as fast as it goes");
    add_common(sub, c, 32);
    sub.add_option("--sources", c.options.pool.sources,
                   "Source addresses 127.0.0.1, .2, …; 256 unless given");
    sub.add_option("--seconds", c.options.seconds, "How long")->capture_default_str();
    sub.callback([&c] { c.run = bench::measure_storm; });
}

void add_idle(CLI::App& app, command& c) {
    CLI::App& sub = *app.add_subcommand("idle", "Memory and CPU of silent connections");
    add_common(sub, c, 1000);
    sub.add_option("--seconds", c.options.seconds, "How long they are held")->capture_default_str();
    sub.callback([&c] { c.run = bench::measure_idle; });
}

int run(command& c) {
    bench::options& o = c.options;
    o.pool.where = bench::parse_target(c.url);
    if (o.pool.sources == 0) {
        constexpr double ports_of_one_address = 25000;
        bool storm = c.run == bench::measure_storm;
        o.pool.sources =
            storm ? 256
                  : static_cast<std::uint32_t>(std::ceil(o.pool.conns / ports_of_one_address));
    }
    require_descriptors(std::uint64_t{o.pool.conns} + 64);
    for (int pid : o.server_pids)
        if (bench::process_tree({pid}).empty())
            throw bench::usage_error("there is no process " + std::to_string(pid));
    bench::outcome outcome = c.run(o);
    std::cout << (c.json ? outcome.figures.as_json() : outcome.figures.as_table());
    return outcome.complete ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    command c;
    c.options.pool.conns = 0; // 0: the default of the measurement
    c.options.pool.sources = 0;
    CLI::App app("Measures what a WebSocket push server costs and whether it delivers.\n"
                 "Exit status: 0 all delivered, 1 something was lost or failed, 2 wrong use.",
                 "carillon-bench");
    app.require_subcommand(1);
    add_fanout(app, c);
    add_echo(app, c);
    add_storm(app, c);
    add_idle(app, c);
    try {
        app.parse(argc, argv);
        return run(c);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : 2;
    } catch (const std::exception& e) {
        std::cerr << "carillon-bench: " << e.what() << '\n';
        return 2;
    }
}
