#include <carillon/base/metrics.hpp>

namespace carillon {

counter& metrics::add(metric_kind kind, std::string_view name, std::string_view help,
                      metric_labels labels) {
    std::lock_guard lock(guard_);
    for (auto& e : entries_)
        if (e.name == name && e.labels == labels)
            return e.count;
    auto& made = entries_.emplace_back();
    made.kind = kind;
    made.name = name;
    made.help = help;
    made.labels = std::move(labels);
    return made.count;
}

void metrics::observe(metric_kind kind, std::string_view name, std::string_view help,
                      std::function<double()> read, metric_labels labels) {
    std::lock_guard lock(guard_);
    auto& made = entries_.emplace_back();
    made.kind = kind;
    made.name = name;
    made.help = help;
    made.labels = std::move(labels);
    made.observed = std::move(read);
}

std::vector<metric_sample> metrics::read() const {
    std::lock_guard lock(guard_);
    std::vector<metric_sample> samples;
    samples.reserve(entries_.size());
    for (const auto& e : entries_) {
        const double content = e.observed ? e.observed() : static_cast<double>(e.count.get());
        samples.push_back({e.name, e.help, e.kind, e.labels, content});
    }
    return samples;
}

} // namespace carillon
