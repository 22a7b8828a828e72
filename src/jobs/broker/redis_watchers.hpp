// redis_watchers: who waits for which result, over the connection that subscribes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jobs/broker/redis_orders.hpp"
#include "jobs/broker/result_store.hpp"

namespace carillon::jobs::redis {

// On the store's thread.
class watchers final : private net::redis::client_events {
public:
    using record = wire::celery::result_record;
    using hearer = std::function<void(const record&)>;
    // Reads the record under a key, whoever knows how.
    using reader = std::function<void(
        const std::string& key, std::function<void(const result<std::optional<std::string>>&)>)>;

    watchers(net::loop& on, net::redis::address where, net::redis::client_options options,
             std::chrono::milliseconds timeout, std::size_t bytes_max, reader read, logger& log,
             net::redis::client_counters& counted);
    void start() { client_.start(); }
    void watch(const std::string& key, hearer hears, result_store::told ready);
    void forget(const std::string& key);
    // Tells everybody who waits to be ready.
    void close();

private:
    struct watched {
        std::vector<hearer> all;
        std::vector<result_store::told> unready;
        std::string last;           // what was heard last
        std::uint64_t messages = 0; // so far
        steady_time deadline{};     // of the readiness
    };
    void on_up() noexcept override;
    void on_down(const failure&) noexcept override {}
    void on_push(wire::redis::reply pushed) noexcept override;
    void look(const std::string& key);
    void hear(watched& one, const std::string& text);
    void watch_time();
    void expire();

    net::loop& loop_;
    const std::chrono::milliseconds timeout_;
    const std::size_t bytes_max_;
    reader read_;
    logger& log_;
    std::map<std::string, watched> watched_;
    std::optional<net::loop::timer_id> expiry_;
    bool closed_ = false;
    net::redis::client client_;
};

} // namespace carillon::jobs::redis
