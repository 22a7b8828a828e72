// Quantiles of a stream of numbers, estimated in a fixed number of bytes: a merging t-digest (T.
// Dunning, 2019).
//
// Neighbouring numbers are merged into centroids that are small at both ends and larger in the
// middle, so the error in rank is smallest for extreme quantiles. docs/reports.md has measured
// errors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace showcase::reports {

// A number that occurred `count` times.
struct weighted {
    double value = 0;
    std::uint64_t count = 0;
};

class quantile_digest {
public:
    // Both take numbers in ascending order.
    void add_sorted(std::span<const double> values);
    void add_sorted(std::span<const weighted> values);
    // The value below which the share q (0 to 1) lies; min and max are those of all numbers added.
    // 0 when empty.
    double quantile(double q, double min, double max) const;

private:
    struct centroid {
        double mean;
        double weight;
    };
    template <class Next>
    void merge(std::size_t size, double weight, Next next);

    std::vector<centroid> centroids_;
    double weight_ = 0;
};

// The exact quantile of ascending numbers: linear interpolation between neighbours (type 7 of
// Hyndman and Fan, as in Python's statistics.quantiles(method="inclusive") and in NumPy). `total`
// is the sum of the counts, not 0.
double exact_quantile(std::span<const weighted> sorted, std::uint64_t total, double q);

} // namespace showcase::reports
