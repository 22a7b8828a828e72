// A histogram of numbers whose range is not known beforehand. Its counts are exact.
//
// Bins are powers of two wide and begin at multiples of their width, so two neighbours make one bin
// of the next size: when a number falls outside, the bins double until it fits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "reports/quantile_digest.hpp"

namespace showcase::reports {

class growing_histogram {
public:
    struct bin {
        double from = 0; // inclusive
        double to = 0;   // exclusive
        std::uint64_t count = 0;
    };

    // Finite numbers in any order; min and max are those of the span.
    void add(std::span<const double> values, double min, double max);
    void add(std::span<const weighted> values, double min, double max);

    // At most shown_bins_max bins from the lowest number to the highest, none narrower than
    // `width_min`. Where all numbers are one, a single bin from it to itself.
    std::vector<bin> bins(double width_min) const;

private:
    void cover(double min, double max);
    void widen(int exponent);
    std::int64_t index_of(double value) const noexcept;

    std::vector<std::uint64_t> counts_; // empty, or fine_bins of them
    int exponent_ = 0;                  // a bin is 2^exponent wide
    std::int64_t first_ = 0;            // the index of counts_[0]: it begins at first * 2^exponent
    double min_ = 0;
    double max_ = 0;
};

} // namespace showcase::reports
