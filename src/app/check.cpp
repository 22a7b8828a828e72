#include "app/commands.hpp"

#include <cstdio>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/check_jobs.hpp"
#include "app/runtime.hpp"
#include "net/acceptor.hpp"

namespace carillon::app {

namespace {

// Prints one line of the examination; true when nothing is wrong.
bool report(const finding& one) {
    switch (one.how) {
    case finding::grade::ok: fmt::print("  ok    {}\n", one.what); return true;
    case finding::grade::warning:
        fmt::print("  warn  {}: {}\n", one.what, one.message);
        return true;
    case finding::grade::wrong: break;
    }
    fmt::print("  WRONG {}: {}\n", one.what, one.message);
    return false;
}

bool report(std::string_view what, const result<void>& outcome) {
    if (outcome)
        return report({finding::grade::ok, std::string(what), ""});
    return report({finding::grade::wrong, std::string(what), outcome.error().message});
}

result<void> check_data_dir(const settings& config) {
    if (auto made = prepare_data_dir(config.data_dir); !made)
        return made;
    if (::access(config.data_dir.c_str(), W_OK | X_OK) != 0)
        return failure{errc::unavailable, fmt::format("{} cannot be written to by this user",
                                                      config.data_dir.string())};
    return {};
}

result<void> check_bind(const std::string& text, std::string_view option) {
    const auto address = net::parse_bind_address(text);
    if (!address)
        return address.error();
    const auto opened = net::listener::open(*address, option);
    return opened ? result<void>() : opened.error();
}

result<void> check_binds(const settings& config) {
    for (const auto& text : config.bind)
        if (auto free = check_bind(text, "--bind"); !free)
            return free;
    return {};
}

result<void> check_tls(const settings& config) {
    if (auto loaded = net::tls_context::load(config.tls_cert, config.tls_key); !loaded)
        return loaded.error();
    return {};
}

result<void> check_database(application& site, const settings& config) {
    auto opened = db::database::open(config.database_url());
    if (!opened)
        return opened.error();
    const auto pending = db::pending_migrations(**opened, site.migrations());
    if (!pending)
        return pending.error();
    return (*opened)->ping();
}

result<void> check_descriptors() {
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    constexpr rlim_t enough = 4096;
    if (descriptors.rlim_max < enough)
        return failure{
            errc::too_large,
            fmt::format("this user may open {} files, so about as many connections; raise it with "
                        "ulimit -n or LimitNOFILE",
                        descriptors.rlim_max)};
    return {};
}

} // namespace

int check(application& site, const loaded_settings& loaded) {
    const auto& config = loaded.values;
    std::size_t widest = 0;
    for (const auto& one : options())
        widest = std::max(widest, one.name.size());
    for (const auto& one : options()) {
        const auto shown = one.get(config);
        fmt::print("  {:{}}  {}  ({})\n", one.name, widest, shown.empty() ? "-" : shown,
                   loaded.from.find(one.name)->second);
    }
    fmt::print("\n");
    bool fine = report("data folder", check_data_dir(config));
    fine = report("addresses to listen on", check_binds(config)) && fine;
    if (!config.health_bind.empty())
        fine = report("health port of worker and beat",
                      check_bind(config.health_bind, "--health-bind")) &&
               fine;
    if (!config.tls_cert.empty())
        fine = report("TLS certificate and key", check_tls(config)) && fine;
    fine = report("database", check_database(site, config)) && fine;
    for (const auto& one : examine_layer(config))
        fine = report(one) && fine;
    for (const auto& one : examine_jobs(config))
        fine = report(one) && fine;
    fine = report("open files", check_descriptors()) && fine;
    fmt::print("\n{}\n", fine ? "Everything is in order." : "Something is wrong: see above.");
    return fine ? 0 : 1;
}

} // namespace carillon::app
