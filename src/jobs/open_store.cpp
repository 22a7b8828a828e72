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

} // namespace

std::string usual_results(std::string_view broker_url) {
    const bool redis = broker_url.starts_with("redis") || broker_url.starts_with("unix");
    return redis ? std::string(broker_url) : "rpc://";
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
    auto through = open_broker(where, log, counters);
    if (!through)
        return through.error();
    result_options kept;
    kept.url = options.results.empty() ? usual_results(options.broker) : options.results;
    kept.expires = options.results_expire;
    kept.keyprefix = options.keyprefix;
    auto results = open_results(kept, through->get(), log, counters);
    if (!results)
        return results.error();
    broker_store_options of_store;
    of_store.message_bytes_max = options.message_bytes_max;
    of_store.touch_interval = std::min<std::chrono::milliseconds>(
        of_store.touch_interval, options.visibility_timeout / touches_per_timeout);
    made->store.emplace(of_store, *std::move(through), *std::move(results), services.registry, log,
                        counters);
    return std::shared_ptr<broker_store>(made, &*made->store);
}

} // namespace carillon::jobs
