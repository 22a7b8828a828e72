#include <algorithm>

#include "app/job_settings.hpp"
#include "app/option_kinds.hpp"
#include "jobs/broker/amqp_address.hpp"
#include "jobs/broker/redis_broker.hpp"

namespace carillon::app {

namespace {

constexpr std::string_view broker_urls =
    "embedded:, amqp://USER:PASSWORD@HOST/VHOST, amqps:// with TLS, redis://HOST:PORT/DB, "
    "rediss://, unix:///PATH, redis+sentinel://HOST,HOST/MASTER/DB";
constexpr std::string_view result_urls = "embedded:, redis://HOST:PORT/DB and its kin, rpc://, "
                                         "none:";

bool has_scheme(std::string_view url, std::initializer_list<std::string_view> schemes) {
    for (const auto scheme : schemes)
        if (url.substr(0, url.find("://")) == scheme && url.find("://") != std::string_view::npos)
            return true;
    return false;
}

// The text may be a password that stands in the wrong place: it is not repeated.
failure no_such_url(std::string_view known) {
    return {errc::invalid, fmt::format("must be one of {}", known)};
}

result<void> set_broker(settings& s, const std::vector<std::string>& given) {
    const auto& url = given.back();
    if (url != "embedded:") {
        if (has_scheme(url, {"amqp", "amqps", "pyamqp"})) {
            if (auto parsed = jobs::amqp::parse_address(url); !parsed)
                return parsed.error();
        } else if (!is_redis_url(url)) {
            return no_such_url(broker_urls);
        } else if (auto parsed = jobs::redis::one_server(url); !parsed) {
            return parsed.error();
        }
    }
    s.broker = url;
    return {};
}

result<void> set_results(settings& s, const std::vector<std::string>& given) {
    const auto& url = given.back();
    if (is_redis_url(url)) {
        if (auto parsed = jobs::redis::one_server(url); !parsed)
            return parsed.error();
    } else if (url != "embedded:" && url != "none:" && url != "rpc://" && url != "rpc:") {
        return no_such_url(result_urls);
    }
    s.result_backend = url;
    return {};
}

result<void> set_beat_store(settings& s, const std::vector<std::string>& given) {
    const auto& url = given.back();
    if (is_redis_url(url)) {
        if (auto parsed = jobs::redis::one_server(url); !parsed)
            return parsed.error();
    } else if (url != "embedded:") {
        return no_such_url("embedded:, redis://HOST:PORT/DB and its kin");
    }
    s.beat_store = url;
    return {};
}

option key_prefix_option(std::string name, std::string help, std::string settings::*member) {
    auto made = text_option(std::move(name), "TEXT", std::move(help), member);
    made.set = [member](settings& s, const std::vector<std::string>& given) -> result<void> {
        constexpr std::size_t bytes_max = 64;
        const auto& text = given.back();
        const bool plain =
            std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c != 0x7f; });
        if (text.size() > bytes_max || !plain)
            return bad_value(text, "up to 64 bytes without spaces");
        s.*member = text;
        return {};
    };
    return made;
}

option queue_limits_option() {
    auto made = list_option("queue-limits", "QUEUE=NUMBER",
                            "how many jobs of a queue run at once, over all workers; the same for "
                            "all of them",
                            &settings::queue_limits, true);
    made.set = [](settings& s, const std::vector<std::string>& given) -> result<void> {
        for (const auto& one : given)
            if (auto limit = queue_limit_of(one); !limit)
                return limit.error();
        s.queue_limits = given;
        return {};
    };
    return made;
}

} // namespace

void add_job_options(std::vector<option>& all) {
    option broker{"broker", "embedded:|URL", fmt::format("where jobs wait: {}", broker_urls)};
    broker.set = set_broker;
    broker.get = shown_broker;
    all.push_back(std::move(broker));
    option results{"result-backend", "embedded:|URL",
                   fmt::format("where results of jobs are kept: {}; default with amqp: rpc://, "
                               "with redis: the broker",
                               result_urls)};
    results.set = set_results;
    results.get = shown_results;
    all.push_back(std::move(results));
    all.push_back(seconds_option(
        "enqueue-timeout",
        "how long enqueueing a job waits for a broker that is away or takes nothing",
        [](settings& s) -> std::chrono::seconds& { return s.enqueue_timeout; }, 1, 300));
    all.push_back(seconds_option(
        "result-expires", "how long results are kept with a broker, as Celery's; 0: for ever",
        [](settings& s) -> std::chrono::seconds& { return s.result_expires; }, 0,
        366 * seconds_of_a_day));
    all.push_back(seconds_option(
        "visibility-timeout",
        "with a broker on Redis: after this silence of a worker its jobs go to others, as "
        "Celery's; all peers must agree",
        [](settings& s) -> std::chrono::seconds& { return s.visibility_timeout; }, 10,
        30 * seconds_of_a_day));
    option beats{"beat-store", "embedded:|URL",
                 "where beats agree on who sends what: embedded:, a file of the data folder, or "
                 "redis://HOST:PORT/DB and its kin; default: Redis where the broker or the "
                 "results are there"};
    beats.set = set_beat_store;
    beats.get = shown_beat_store;
    all.push_back(std::move(beats));
    all.push_back(key_prefix_option(
        "broker-key-prefix",
        "with a broker on Redis: what the names of its keys begin with, as Celery's "
        "global_keyprefix in broker_transport_options",
        &settings::broker_key_prefix));
    all.push_back(
        key_prefix_option("result-key-prefix",
                          "with results in Redis: the same, as Celery's global_keyprefix in "
                          "result_backend_transport_options",
                          &settings::result_key_prefix));
    all.push_back(choice_option(
        "queue-type",
        "with RabbitMQ: the kind of queues that are declared; those that exist stay as they are",
        {"classic", "quorum"}, &settings::queue_type));
    all.push_back(number_option<std::uint32_t>(
        "queue-max-priority",
        "with RabbitMQ: the highest priority in classic queues that are declared, as Celery's "
        "task_queue_max_priority; 0: no priorities",
        &settings::queue_max_priority, 0, 255));
    all.push_back(queue_limits_option());
}

} // namespace carillon::app
