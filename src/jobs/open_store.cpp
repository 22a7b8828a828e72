#include "jobs/open_store.hpp"

#include <algorithm>
#include <optional>

namespace carillon::jobs {

namespace {

constexpr int touches_per_timeout = 4;

// The store, and the counters that it needs where the application brought none.
struct home {
    std::unique_ptr<metrics> own_counters;
    std::optional<broker_store> store;
};

bool is_redis(std::string_view url) { return url.starts_with("redis") || url.starts_with("unix"); }

// Over all workers where they have a Redis in common.
result<std::unique_ptr<ledger>> open_ledger(const job_queue_options& options,
                                            const std::string& results,
                                            std::chrono::milliseconds place_life, logger& log,
                                            metrics& counters) {
    ledger_options where;
    where.url = is_redis(options.broker) ? options.broker : results;
    where.keyprefix = is_redis(options.broker) ? options.keyprefix : options.results_keyprefix;
    where.place_life = place_life;
    if (!is_redis(where.url))
        return make_local_ledger();
    return make_redis_ledger(where, log, counters);
}

} // namespace

std::string usual_results(std::string_view broker_url) {
    return is_redis(broker_url) ? std::string(broker_url) : "rpc://";
}

result<std::shared_ptr<broker_store>> open_broker_store(const job_queue_options& options,
                                                        const job_services& services) {
    auto made = std::make_shared<home>();
    if (!services.counters)
        made->own_counters = std::make_unique<metrics>();
    auto& counters = services.counters ? *services.counters : *made->own_counters;
    auto& log = services.log ? *services.log : silent_log();
    broker_options where;
    where.url = options.broker;
    where.publish_timeout = options.enqueue_timeout;
    where.visibility_timeout = options.visibility_timeout;
    where.keyprefix = options.keyprefix;
    where.quorum_queues = options.quorum_queues;
    if (options.queue_max_priority > 0)
        where.queue_priority_max = static_cast<int>(options.queue_max_priority);
    auto through = open_broker(where, log, counters);
    if (!through)
        return through.error();
    result_options kept;
    kept.url = options.results.empty() ? usual_results(options.broker) : options.results;
    kept.expires = options.results_expire;
    kept.keyprefix = options.results_keyprefix;
    auto results = open_results(kept, through->get(), log, counters);
    if (!results)
        return results.error();
    broker_store_options of_store;
    of_store.message_bytes_max = options.message_bytes_max;
    of_store.touch_interval = std::min<std::chrono::milliseconds>(
        of_store.touch_interval, options.visibility_timeout / touches_per_timeout);
    of_store.queue_limits = options.queue_limits;
    auto permits = open_ledger(options, kept.url, of_store.place_life, log, counters);
    if (!permits)
        return permits.error();
    made->store.emplace(of_store, *std::move(through), *std::move(results), services.registry, log,
                        counters, *std::move(permits));
    return std::shared_ptr<broker_store>(made, &*made->store);
}

} // namespace carillon::jobs
