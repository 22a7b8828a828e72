#include "reports/growing_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "reports/limits.hpp"

namespace showcase::reports {

namespace {

constexpr int exponent_min = -1000; // 2^1000 is still a double
constexpr int index_bits_max = 50;  // an index is exact as a double and as an int64

std::int64_t index_at(double value, int exponent) noexcept {
    return static_cast<std::int64_t>(std::floor(std::ldexp(value, -exponent)));
}

// The finest width at which the index of a value is exact.
int finest_exponent(double value) noexcept {
    return value == 0 ? exponent_min
                      : std::max(exponent_min, std::ilogb(value) + 1 - index_bits_max);
}

// The finest width, not below `from`, at which the range needs at most `bins` bins.
int exponent_for(double min, double max, std::size_t bins, int from) noexcept {
    int e = std::max({from, finest_exponent(min), finest_exponent(max)});
    while (index_at(max, e) - index_at(min, e) >= static_cast<std::int64_t>(bins))
        ++e;
    return e;
}

} // namespace

std::int64_t growing_histogram::index_of(double value) const noexcept {
    return static_cast<std::int64_t>(std::floor(value * std::ldexp(1.0, -exponent_)));
}

void growing_histogram::widen(int exponent) {
    const int shift = std::min(exponent - exponent_, 63);
    if (shift == 0)
        return;
    const std::int64_t first = first_ >> shift;
    // Bins move towards the front only, so this works in place.
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        const std::int64_t index = (first_ + static_cast<std::int64_t>(i)) >> shift;
        const std::uint64_t count = std::exchange(counts_[i], 0);
        counts_[static_cast<std::size_t>(index - first)] += count;
    }
    first_ = first;
    exponent_ = exponent;
}

void growing_histogram::cover(double min, double max) {
    if (counts_.empty()) {
        counts_.resize(fine_bins);
        min_ = min;
        max_ = max;
        exponent_ = exponent_for(min, max, fine_bins, exponent_min);
        first_ = index_at(min, exponent_);
        return;
    }
    if (min >= min_ && max <= max_)
        return;
    min_ = std::min(min, min_);
    max_ = std::max(max, max_);
    widen(exponent_for(min_, max_, fine_bins, exponent_));
    // Slide the window so that it begins at the lowest number: what leaves at one end is empty.
    const std::int64_t lowest = index_at(min_, exponent_);
    const auto size = static_cast<std::int64_t>(counts_.size());
    if (lowest < first_) {
        const std::int64_t by = std::min(first_ - lowest, size);
        std::rotate(counts_.begin(), counts_.end() - by, counts_.end());
    } else {
        const std::int64_t by = std::min(lowest - first_, size);
        std::rotate(counts_.begin(), counts_.begin() + by, counts_.end());
    }
    first_ = lowest;
}

void growing_histogram::add(std::span<const double> values, double min, double max) {
    cover(min, max);
    const double scale = std::ldexp(1.0, -exponent_);
    for (const double v : values) {
        const auto index = static_cast<std::int64_t>(std::floor(v * scale));
        ++counts_[static_cast<std::size_t>(index - first_)];
    }
}

void growing_histogram::add(std::span<const weighted> values, double min, double max) {
    cover(min, max);
    for (const weighted& v : values)
        counts_[static_cast<std::size_t>(index_of(v.value) - first_)] += v.count;
}

std::vector<growing_histogram::bin> growing_histogram::bins(double width_min) const {
    if (counts_.empty())
        return {};
    if (min_ == max_) {
        const auto total = std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
        return {{min_, max_, total}};
    }
    int e = exponent_;
    while (width_min > 0 && std::ldexp(1.0, e) < width_min)
        ++e;
    e = exponent_for(min_, max_, shown_bins_max, e);
    const std::int64_t first = index_at(min_, e);
    std::vector<bin> out(static_cast<std::size_t>(index_at(max_, e) - first + 1));
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i].from = std::ldexp(static_cast<double>(first + static_cast<std::int64_t>(i)), e);
        out[i].to = std::ldexp(static_cast<double>(first + static_cast<std::int64_t>(i) + 1), e);
    }
    const int shift = std::min(e - exponent_, 63);
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        if (counts_[i] == 0)
            continue;
        const std::int64_t index = (first_ + static_cast<std::int64_t>(i)) >> shift;
        out[static_cast<std::size_t>(index - first)].count += counts_[i];
    }
    return out;
}

} // namespace showcase::reports
