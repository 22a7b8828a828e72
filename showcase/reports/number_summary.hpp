// What is kept of a stream of numbers: count, range, moments, quantiles, histogram. The size does
// not grow.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "reports/growing_histogram.hpp"
#include "reports/limits.hpp"
#include "reports/quantile_digest.hpp"

namespace showcase::reports {

// Mean and spread without the cancellation of sums of squares (B. P. Welford 1962, T. F. Chan et
// al. 1979).
struct moments {
    double count = 0;
    double mean = 0;
    double squares = 0; // sum of squared distances from the mean

    void merge(const moments& other) noexcept;
    // The sample standard deviation (divided by n - 1); none below two numbers.
    std::optional<double> deviation() const noexcept;
};

// The results; all zero when there was no number.
struct number_figures {
    double min = 0;
    double max = 0;
    double mean = 0;
    std::optional<double> deviation;
    double q1 = 0;
    double median = 0;
    double q3 = 0;
    std::vector<growing_histogram::bin> histogram;
};

// Finite numbers one by one; figures at any time. Mean, deviation, range and histogram are exact up
// to rounding, quantiles estimated. Not thread-safe.
class number_summary {
public:
    void add(double value) {
        buffer_[used_++] = value;
        if (used_ == buffer_.size())
            flush();
    }
    // Numbers in ascending order with their counts.
    void add_sorted(std::span<const weighted> values);
    // No bin of the histogram is narrower than `bin_width_min`.
    number_figures figures(double bin_width_min);

private:
    void flush();
    void cover(double min, double max) noexcept;

    std::array<double, number_buffer_values> buffer_;
    std::size_t used_ = 0;
    double min_ = 0;
    double max_ = 0;
    moments moments_;
    quantile_digest digest_;
    growing_histogram histogram_;
};

// The same figures, quantiles too exact, of numbers in ascending order with their counts.
number_figures exact_figures(std::span<const weighted> sorted, double bin_width_min);

} // namespace showcase::reports
