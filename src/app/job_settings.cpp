#include "app/job_settings.hpp"

#include <algorithm>

#include "app/option_kinds.hpp"
#include "jobs/broker/amqp_address.hpp"
#include "jobs/broker/redis_broker.hpp"
#include "jobs/open_store.hpp"

namespace carillon::app {

namespace {

constexpr std::string_view embedded = "embedded:";

// Of a URL that was validated; whatever cannot be read is hidden as a whole.
std::string shown_url(const std::string& url) {
    if (url.find("://") == std::string::npos || url.starts_with("rpc:"))
        return url;
    if (url.starts_with("amqp") || url.starts_with("pyamqp")) {
        const auto parsed = jobs::amqp::parse_address(url);
        return parsed ? parsed->name() : "********";
    }
    const auto parsed = jobs::redis::one_server(url);
    return parsed ? parsed->name() : "********";
}

} // namespace

bool is_redis_url(std::string_view url) noexcept {
    const auto scheme = url.substr(0, url.find("://"));
    constexpr std::string_view known[] = {"redis",          "rediss",          "unix",
                                          "redis+sentinel", "rediss+sentinel", "redis+pubsub",
                                          "rediss+pubsub",  "unix+pubsub"};
    return scheme.size() < url.size() && std::ranges::find(known, scheme) != std::end(known);
}

bool jobs_on_broker(const settings& config) noexcept { return config.broker != embedded; }

result<std::pair<std::string, std::uint32_t>> queue_limit_of(std::string_view text) {
    const auto cut = text.rfind('=');
    if (cut == std::string_view::npos || cut == 0)
        return bad_value(text, "QUEUE=NUMBER");
    auto jobs = parse_number<std::uint32_t>(text.substr(cut + 1), 1, 1'000'000);
    if (!jobs)
        return jobs.error();
    return std::pair(std::string(text.substr(0, cut)), *jobs);
}

job_queue_options queue_options(const settings& config) {
    job_queue_options options;
    options.data_dir = config.data_dir;
    for (const auto& each : config.queue_limits)
        if (auto limit = queue_limit_of(each))
            options.queue_limits.insert(*std::move(limit));
    if (jobs_on_broker(config)) {
        options.broker = config.broker;
        options.results = config.result_backend;
        options.enqueue_timeout = config.enqueue_timeout;
        options.results_expire = config.result_expires;
        options.visibility_timeout = config.visibility_timeout;
        options.keyprefix = config.broker_key_prefix;
        options.results_keyprefix = config.result_key_prefix;
        options.quorum_queues = config.queue_type == "quorum";
        options.queue_max_priority = config.queue_max_priority;
    }
    return options;
}

std::string usual_result_backend(const settings& config) {
    return jobs::usual_results(config.broker);
}

std::string usual_beat_store(const settings& config) {
    for (const auto* url : {&config.broker, &config.result_backend})
        if (is_redis_url(*url))
            return *url;
    return std::string(embedded);
}

result<void> check_job_settings(const settings& config) {
    const bool results_embedded = config.result_backend == embedded;
    if (jobs_on_broker(config) && results_embedded)
        return failure{errc::invalid,
                       "embedded: results belong to the embedded broker; with a message broker "
                       "choose redis://HOST, rpc:// or none:, or leave result-backend out"};
    if (!jobs_on_broker(config) && !results_embedded)
        return failure{errc::invalid,
                       "the embedded broker keeps its results itself; leave result-backend out, or "
                       "choose a broker: amqp://HOST or redis://HOST"};
    return {};
}

std::string shown_broker(const settings& config) { return shown_url(config.broker); }
std::string shown_results(const settings& config) { return shown_url(config.result_backend); }

std::string shown_beat_store(const settings& config) { return shown_url(config.beat_store); }

result<std::unique_ptr<jobs::slot_store>> open_beat_store(const settings& config) {
    if (config.beat_store == embedded)
        return jobs::open_slot_file(config.data_dir / "beat.db");
    // Applications that share a Redis are told apart by their prefix there.
    return jobs::open_redis_slots(config.beat_store, is_redis_url(config.broker)
                                                         ? config.broker_key_prefix
                                                         : config.result_key_prefix);
}

result<std::unique_ptr<jobs::control_console>>
open_console(const settings& config, logger& log, metrics& counters,
             std::chrono::milliseconds connect_patience) {
    jobs::broker_options options;
    options.url = config.broker;
    options.visibility_timeout = config.visibility_timeout;
    options.keyprefix = config.broker_key_prefix;
    auto through = jobs::open_broker(options, log, counters);
    if (!through)
        return through.error();
    return jobs::control_console::open(*std::move(through), connect_patience);
}

} // namespace carillon::app
