#include "jobs/broker/open_store.hpp"

#include <algorithm>

#include "jobs/broker/broker_store.hpp"

namespace carillon::jobs {

namespace {

constexpr std::chrono::milliseconds touch_at_most{60'000};

// A store together with counters that nobody else brought.
struct counted_store {
    metrics own;
    std::unique_ptr<broker_store> store;
};

broker_options broker_options_of(const job_queue_options& o) {
    broker_options b;
    b.url = o.broker;
    b.visibility_timeout = o.visibility_timeout;
    b.keyprefix = o.keyprefix;
    return b;
}

result_options result_options_of(const job_queue_options& o) {
    result_options r;
    r.url = results_for(o);
    r.expires = o.results_expire;
    r.keyprefix = o.keyprefix;
    // What a worker may store, with room for the rest of the record.
    r.result_bytes_max = std::max(r.result_bytes_max, o.result_bytes_max * 2);
    return r;
}

} // namespace

std::string results_for(const job_queue_options& options) {
    if (!options.results.empty())
        return options.results;
    const bool amqp = options.broker.starts_with("amqp") || options.broker.starts_with("pyamqp");
    return amqp ? "rpc://" : options.broker;
}

result<std::shared_ptr<job_store>> open_broker_store(const job_queue_options& options,
                                                     const job_registry& registry, logger& log,
                                                     metrics* counted) {
    if (options.visibility_timeout < std::chrono::seconds(1))
        return failure{errc::invalid, "the visibility timeout is at least one second"};
    auto made = std::make_shared<counted_store>();
    auto& counts = counted ? *counted : made->own;
    auto through = open_broker(broker_options_of(options), log, counts);
    if (!through)
        return through.error();
    auto results = open_results(result_options_of(options), through->get(), log, counts);
    if (!results)
        return results.error();
    broker_store_options with;
    with.message_bytes_max = options.message_bytes_max;
    // Several times before anybody could take a delivery for abandoned.
    with.touch_interval = std::min<std::chrono::milliseconds>(
        touch_at_most, std::chrono::milliseconds(options.visibility_timeout) / 5);
    made->store = std::make_unique<broker_store>(with, *std::move(through), *std::move(results),
                                                 registry, log, counts);
    return std::shared_ptr<job_store>(made, made->store.get());
}

} // namespace carillon::jobs
