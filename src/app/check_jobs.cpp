#include "app/check_jobs.hpp"

#include <fmt/format.h>

#include "app/job_settings.hpp"
#include "jobs/awaited.hpp"
#include "jobs/broker/result_store.hpp"
#include "jobs/control/controller.hpp"

namespace carillon::app {

namespace {

constexpr std::chrono::milliseconds patience{4'000};

finding judged(std::string what, const result<void>& outcome, std::string_view advice) {
    if (outcome)
        return {finding::grade::ok, std::move(what), ""};
    return {finding::grade::wrong, std::move(what),
            fmt::format("{}; {}", outcome.error().message, advice)};
}

result<void> ask_embedded(const settings& config) {
    const job_registry nothing;
    auto opened = job_queue::open(queue_options(config), {nothing});
    if (!opened)
        return opened.error();
    return (*opened)->ping();
}

result<void> ask_broker(const settings& config) {
    metrics counters;
    auto opened = open_console(config, silent_log(), counters, patience);
    if (!opened)
        return opened.error();
    return {};
}

// Asks for the result of a job that nobody sent.
result<void> ask_results(const settings& config) {
    metrics counters;
    jobs::result_options options;
    options.url = config.result_backend;
    options.timeout = patience;
    auto opened = jobs::open_results(options, nullptr, silent_log(), counters);
    if (!opened)
        return opened.error();
    jobs::awaited<std::optional<wire::celery::result_record>> asked;
    (*opened)->get("carillon.check", asked.teller());
    if (auto told = asked.wait(); !told)
        return told.error();
    return {};
}

result<void> ask_beat_store(const settings& config) {
    auto opened = open_beat_store(config);
    if (!opened)
        return opened.error();
    const auto told = (*opened)->abandoned();
    return told ? result<void>() : told.error();
}

// Of a place that is neither the broker nor that of the results: those are examined anyway.
void examine_beat_store(const settings& config, std::vector<finding>& found) {
    if (is_redis_url(config.beat_store) && config.beat_store != config.broker &&
        config.beat_store != config.result_backend)
        found.push_back(judged("beats " + shown_beat_store(config), ask_beat_store(config),
                               "is it running, and is the address in beat-store right?"));
}

std::vector<finding> examine_queue(const settings& config) {
    if (!jobs_on_broker(config)) {
        const auto outcome = ask_embedded(config);
        if (outcome)
            return {{finding::grade::ok, "job queue", ""}};
        return {{finding::grade::wrong, "job queue", outcome.error().message}};
    }
    std::vector<finding> found;
    found.push_back(judged("broker " + shown_broker(config), ask_broker(config),
                           "is it running, and are address, user and password in broker right?"));
    const auto results = shown_results(config);
    if (results.find("://") == std::string::npos || results.starts_with("rpc:"))
        found.push_back({finding::grade::ok, "results " + results, ""});
    else
        found.push_back(judged("results " + results, ask_results(config),
                               "is it running, and is the address in result-backend right?"));
    return found;
}

} // namespace

std::vector<finding> examine_jobs(const settings& config) {
    auto found = examine_queue(config);
    examine_beat_store(config, found);
    return found;
}

} // namespace carillon::app
