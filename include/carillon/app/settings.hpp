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
#include <carillon/jobs/schedule.hpp>

namespace carillon {

// The effective values. docs/configuration.md lists name, flag, environment variable and default of each.
struct settings {
    std::vector<std::string> bind{"127.0.0.1:8000"};
    std::string health_bind; // of worker and beat; empty: nowhere
    std::filesystem::path data_dir{"data"};
    std::string database;                 // empty: sqlite:<data-dir>/carillon.db
    std::string channel_layer{"memory:"}; // may hold passwords: never log it
    std::string channel_prefix{"asgi"};
    std::uint32_t channel_capacity = 100;
    std::vector<std::string> channel_capacities; // PATTERN=NUMBER, the first that matches counts
    std::uint32_t channel_node_capacity = 10'000;
    std::chrono::seconds channel_expiry{60};
    std::chrono::seconds group_expiry{86'400};
    std::vector<std::string> channel_keys; // secret; the first encrypts, all decrypt
    std::string channel_serializer{"msgpack"};
    std::uint32_t channel_random_prefix = 12; // bytes
    std::chrono::seconds channel_send_timeout{5};
    std::chrono::seconds channel_settle_time{1};
    std::uint32_t channel_unconfirmed_max = 20'000;
    std::uint32_t channel_undelivered_max = 10'000;
    std::uint64_t channel_message_bytes_max = 16u << 20;
    std::string broker{"embedded:"};         // may hold passwords: never log it
    std::string result_backend{"embedded:"}; // likewise
    std::chrono::seconds enqueue_timeout{10};
    std::chrono::seconds result_expires{86'400};
    std::chrono::seconds visibility_timeout{3'600};
    std::string beat_store{"embedded:"};   // likewise
    std::vector<schedule_entry> schedules; // those of the configuration file
    std::string broker_key_prefix,
        result_key_prefix;             // of names in Redis, as Celery's global_keyprefix
    std::string queue_type{"classic"}; // of RabbitMQ's queues
    std::uint32_t queue_max_priority = 0;
    std::vector<std::string> queue_limits; // QUEUE=NUMBER
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
    bool beat = false; // serve and worker send the jobs of schedules, too

    std::string database_url() const;
};

} // namespace carillon
