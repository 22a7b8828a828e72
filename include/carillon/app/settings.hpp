// settings: everything an operator can choose, from defaults, a TOML file, the environment and flags, in this order.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/limits.hpp>
#include <carillon/base/log.hpp>

namespace carillon {

// The effective values. docs/configuration.md lists name, flag, environment variable and default of each.
struct settings {
    std::vector<std::string> bind{"127.0.0.1:8000"};
    std::filesystem::path data_dir{"data"};
    std::string database; // empty: sqlite:<data-dir>/carillon.db
    std::string channel_layer{"memory:"};
    std::uint32_t channel_capacity = 100;
    std::chrono::seconds channel_expiry{60};
    std::string broker{"embedded:"};
    std::string result_backend{"embedded:"};
    std::uint32_t workers = 2;
    std::uint32_t threads = 0; // 0: the number of cores
    std::uint32_t blocking_threads = 8;
    std::vector<std::string> allowed_hosts{"localhost", "127.0.0.1", "[::1]"};
    std::vector<std::string> trusted_proxies;
    std::string tls_cert, tls_key;
    std::string log_format; // empty: pretty on a terminal, else json
    log_level level = log_level::info;
    std::chrono::seconds shutdown_grace{5};
    limits limit;

    bool demo = false;
    bool bench = false;

    std::string database_url() const;
};

} // namespace carillon
