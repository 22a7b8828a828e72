#include "reports/number_summary.hpp"

#include <algorithm>
#include <cmath>

namespace showcase::reports {

namespace {

// The moments of a batch, in two passes.
template <class Range, class Value, class Count>
moments moments_of(const Range& range, Value value, Count count) {
    moments out;
    long double sum = 0;
    for (const auto& item : range) {
        out.count += count(item);
        sum += static_cast<long double>(value(item)) * count(item);
    }
    out.mean = static_cast<double>(sum / out.count);
    long double squares = 0;
    for (const auto& item : range) {
        const double distance = value(item) - out.mean;
        squares += static_cast<long double>(distance * distance) * count(item);
    }
    out.squares = static_cast<double>(squares);
    return out;
}

moments moments_of(std::span<const weighted> values) {
    return moments_of(
        values, [](const weighted& w) { return w.value; },
        [](const weighted& w) { return static_cast<double>(w.count); });
}

moments moments_of(std::span<const double> values) {
    moments out;
    double sum = 0;
    for (const double v : values)
        sum += v;
    out.count = static_cast<double>(values.size());
    out.mean = sum / out.count;
    for (const double v : values)
        out.squares += (v - out.mean) * (v - out.mean);
    return out;
}

} // namespace

void moments::merge(const moments& other) noexcept {
    const double total = count + other.count;
    const double distance = other.mean - mean;
    mean += distance * (other.count / total);
    squares += other.squares + distance * distance * (count * other.count / total);
    count = total;
}

std::optional<double> moments::deviation() const noexcept {
    if (count < 2)
        return std::nullopt;
    return std::sqrt(squares / (count - 1));
}

void number_summary::cover(double min, double max) noexcept {
    min_ = moments_.count == 0 ? min : std::min(min, min_);
    max_ = moments_.count == 0 ? max : std::max(max, max_);
}

void number_summary::flush() {
    if (used_ == 0)
        return;
    const std::span<double> values(buffer_.data(), used_);
    const moments batch = moments_of(std::span<const double>(values));
    // Identifiers and timestamps often come in order.
    if (!std::is_sorted(values.begin(), values.end()))
        std::sort(values.begin(), values.end());
    cover(values.front(), values.back());
    moments_.merge(batch);
    histogram_.add(values, values.front(), values.back());
    digest_.add_sorted(std::span<const double>(values));
    used_ = 0;
}

void number_summary::add_sorted(std::span<const weighted> values) {
    if (values.empty())
        return;
    cover(values.front().value, values.back().value);
    moments_.merge(moments_of(values));
    histogram_.add(values, values.front().value, values.back().value);
    digest_.add_sorted(values);
}

number_figures number_summary::figures(double bin_width_min) {
    flush();
    number_figures out;
    out.min = min_;
    out.max = max_;
    out.mean = moments_.mean;
    out.deviation = moments_.deviation();
    out.q1 = digest_.quantile(0.25, min_, max_);
    out.median = digest_.quantile(0.5, min_, max_);
    out.q3 = digest_.quantile(0.75, min_, max_);
    out.histogram = histogram_.bins(bin_width_min);
    return out;
}

number_figures exact_figures(std::span<const weighted> sorted, double bin_width_min) {
    number_figures out;
    if (sorted.empty())
        return out;
    const moments m = moments_of(sorted);
    const auto total = static_cast<std::uint64_t>(m.count);
    out.min = sorted.front().value;
    out.max = sorted.back().value;
    out.mean = m.mean;
    out.deviation = m.deviation();
    out.q1 = exact_quantile(sorted, total, 0.25);
    out.median = exact_quantile(sorted, total, 0.5);
    out.q3 = exact_quantile(sorted, total, 0.75);
    growing_histogram histogram;
    histogram.add(sorted, out.min, out.max);
    out.histogram = histogram.bins(bin_width_min);
    return out;
}

} // namespace showcase::reports
