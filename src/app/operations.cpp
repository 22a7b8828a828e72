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

response readiness(services& shared) {
    const auto database = shared.database.ping();
    const auto layer = shared.layer.status();
    const auto broker = shared.jobs->ping();
    const bool ready = database.has_value() && layer.has_value() && broker.has_value();
    return json_response(object{{"status", ready ? "ready" : "not ready"},
                                {"checks", object{{"database", check_of(database)},
                                                  {"channel_layer", check_of(layer)},
                                                  {"broker", check_of(broker)}}}},
                         ready ? 200 : 503);
}

} // namespace

routes operation_routes(services& shared) {
    return {
        get("/healthz",
            [](request&) {
                return json_response(object{{"status", "alive"}});
            }),
        get("/readyz", on_thread([&shared](request&) { return readiness(shared); })),
        get("/metrics",
            [&shared](request&) {
                auto answer = text_response(prometheus_text(shared.counters));
                answer.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
                return answer;
            }),
    };
}

} // namespace carillon::app
