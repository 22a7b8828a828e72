#include "app/operations.hpp"

#include <algorithm>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace carillon::app {

std::string prometheus_text(const metrics& counters) {
    std::vector<prometheus::MetricFamily> families;
    for (auto& sample : counters.read()) {
        auto family = std::ranges::find(families, sample.name, &prometheus::MetricFamily::name);
        if (family == families.end()) {
            const auto type = sample.kind == metric_kind::counter ? prometheus::MetricType::Counter
                                                                  : prometheus::MetricType::Gauge;
            families.push_back({sample.name, sample.help, type, {}});
            family = families.end() - 1;
        }
        prometheus::ClientMetric one;
        for (auto& [name, content] : sample.labels)
            one.label.push_back({std::move(name), std::move(content)});
        (sample.kind == metric_kind::counter ? one.counter.value : one.gauge.value) = sample.value;
        family->metric.push_back(std::move(one));
    }
    return prometheus::TextSerializer().Serialize(families);
}

namespace {

value check_of(const result<void>& outcome) {
    if (outcome)
        return object{{"ok", true}};
    return object{{"ok", false}, {"message", outcome.error().message}};
}

} // namespace

void readiness::add(std::string name, check ask) {
    std::lock_guard lock(guard_);
    checks_.insert_or_assign(std::move(name), std::move(ask));
}

void readiness::leave() {
    add("process", [] {
        return result<void>(failure{errc::unavailable, "it is stopping and begins nothing new"});
    });
}

response readiness::answer() const {
    std::unique_lock lock(guard_);
    const auto asked = checks_;
    lock.unlock();
    bool ready = true;
    object checks;
    for (const auto& [name, ask] : asked) {
        const auto outcome = ask();
        ready = ready && outcome.has_value();
        checks.set(name, check_of(outcome));
    }
    return json_response(
        object{{"status", ready ? "ready" : "not ready"}, {"checks", std::move(checks)}},
        ready ? 200 : 503);
}

void add_broker_check(readiness& ready, services& shared) {
    ready.add("broker", [&shared] { return shared.jobs->ping(); });
}

void add_site_checks(readiness& ready, services& shared) {
    ready.add("database", [&shared] { return shared.database.ping(); });
    ready.add("channel_layer", [&shared] { return shared.layer.status(); });
    add_broker_check(ready, shared);
}

routes operation_routes(const metrics& counters, const readiness& ready) {
    return {
        get("/healthz",
            [](request&) {
                return json_response(object{{"status", "alive"}});
            }),
        get("/readyz", on_thread([&ready](request&) { return ready.answer(); })),
        get("/metrics",
            [&counters](request&) {
                auto answer = text_response(prometheus_text(counters));
                answer.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
                return answer;
            }),
    };
}

} // namespace carillon::app
