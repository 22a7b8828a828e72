#include "app/option_kinds.hpp"

#include <algorithm>

#include "net/acceptor.hpp"

namespace carillon {

std::string settings::database_url() const {
    return database.empty() ? "sqlite:" + (data_dir / "carillon.db").string() : database;
}

} // namespace carillon

namespace carillon::app {

namespace {

option data_dir_option() {
    option made{"data-dir", "FOLDER", "uploads, results, embedded database and queue"};
    made.set = [](settings& s, const std::vector<std::string>& given) {
        s.data_dir = given.back();
        return result<void>();
    };
    made.get = [](const settings& s) { return s.data_dir.string(); };
    return made;
}

option log_level_option() {
    static constexpr std::string_view names[] = {"debug", "info", "warning", "error"};
    option made{"log-level", "debug|info|warning|error",
                "the least important lines that are written"};
    made.set = [](settings& s, const std::vector<std::string>& given) -> result<void> {
        const auto* found = std::ranges::find(names, given.back());
        if (found == std::end(names))
            return bad_value(given.back(), "one of debug, info, warning, error");
        s.level = static_cast<log_level>(found - names);
        return {};
    };
    made.get = [](const settings& s) {
        return std::string(names[static_cast<std::size_t>(s.level)]);
    };
    return made;
}

constexpr std::string_view bind_forms = "HOST:PORT|[::1]:PORT|unix:PATH";

option health_bind_option() {
    auto made = text_option("health-bind", std::string(bind_forms),
                            "where worker and beat answer /healthz, /readyz and /metrics; default "
                            "nowhere",
                            &settings::health_bind);
    made.set = [](settings& s, const std::vector<std::string>& given) -> result<void> {
        if (!given.back().empty())
            if (auto address = net::parse_bind_address(given.back()); !address)
                return address.error();
        s.health_bind = given.back();
        return {};
    };
    return made;
}

std::vector<option> make_options() {
    std::vector<option> all;
    all.push_back(
        list_option("bind", std::string(bind_forms), "where to listen", &settings::bind, false));
    all.push_back(health_bind_option());
    all.push_back(data_dir_option());
    all.push_back(url_option("database",
                             "where the tables are; default sqlite:<data-dir>/carillon.db",
                             &settings::database, "sqlite:"));
    add_layer_options(all);
    add_job_options(all);
    all.push_back(number_option("workers",
                                "worker threads inside serve; 0: only worker processes run jobs",
                                &settings::workers, 0u, 1024u));
    all.push_back(number_option("threads", "reactor threads; 0: the number of cores",
                                &settings::threads, 0u, 256u));
    all.push_back(number_option("blocking-threads",
                                "threads for blocking handlers and database calls",
                                &settings::blocking_threads, 1u, 1024u));
    all.push_back(list_option("allowed-hosts", "HOST,.DOMAIN,*",
                              "Host headers and origins that are served, as Django's ALLOWED_HOSTS",
                              &settings::allowed_hosts, false));
    all.push_back(list_option("trusted-proxies", "ADDRESS|unix",
                              "whose X-Forwarded-For and -Proto are believed",
                              &settings::trusted_proxies, true));
    all.push_back(text_option("tls-cert", "FILE",
                              "PEM certificate with its chain; then https and wss",
                              &settings::tls_cert));
    all.push_back(
        text_option("tls-key", "FILE", "PEM private key of the certificate", &settings::tls_key));
    all.push_back(choice_option("log-format",
                                "how lines look; default pretty on a terminal, else json",
                                {"pretty", "json"}, &settings::log_format));
    all.push_back(log_level_option());
    all.push_back(seconds_option(
        "shutdown-grace",
        "for running jobs to finish when a worker stops; then they are handed back",
        [](settings& s) -> std::chrono::seconds& { return s.shutdown_grace; }, 0));
    add_limit_options(all);
    return all;
}

} // namespace

const std::vector<option>& options() {
    static const auto all = make_options();
    return all;
}

const option* find_option(std::string_view name) {
    std::string with_dashes(name);
    std::ranges::replace(with_dashes, '_', '-');
    const auto found = std::ranges::find(options(), with_dashes, &option::name);
    return found == options().end() ? nullptr : &*found;
}

std::string environment_name(const option& one) {
    std::string made = "CARILLON_";
    for (const char c : one.name)
        made += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    return made;
}

} // namespace carillon::app
