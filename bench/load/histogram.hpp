// histogram: durations in nanoseconds, kept in buckets so narrow that a percentile is at most 1.6 %
// too high.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace carillon::bench {

class histogram {
public:
    histogram() : counts_(bucket_of(UINT64_MAX) + 1, 0) {}

    void add(std::uint64_t ns) {
        ++counts_[bucket_of(ns)];
        ++count_;
        sum_ += ns;
        if (ns > max_)
            max_ = ns;
    }

    std::uint64_t count() const noexcept { return count_; }
    double mean_us() const noexcept { return static_cast<double>(sum_) / per_us(); }
    double max_us() const noexcept { return static_cast<double>(max_) / 1e3; }

    // The smallest bucket's upper edge below which that share of all values lies; 0 where there is
    // none.
    double quantile_us(double share) const {
        std::uint64_t wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_)),
                      seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted || (seen == count_ && count_ > 0))
                return static_cast<double>(upper_edge(i) < max_ ? upper_edge(i) : max_) / 1e3;
        }
        return 0;
    }

private:
    static constexpr unsigned step_bits = 6; // 64 steps for each power of two
    static std::size_t bucket_of(std::uint64_t v) noexcept {
        if (v < (1u << step_bits))
            return static_cast<std::size_t>(v);
        unsigned shift = static_cast<unsigned>(std::bit_width(v)) - step_bits - 1;
        return ((static_cast<std::size_t>(shift) + 1) << step_bits) +
               static_cast<std::size_t>((v >> shift) & ((1u << step_bits) - 1));
    }
    static std::uint64_t upper_edge(std::size_t bucket) noexcept {
        if (bucket < (1u << step_bits))
            return bucket;
        std::size_t shift = (bucket >> step_bits) - 1;
        std::uint64_t low = (1u << step_bits) + (bucket & ((1u << step_bits) - 1));
        return ((low + 1) << shift) - 1;
    }
    double per_us() const noexcept { return count_ ? static_cast<double>(count_) * 1e3 : 1; }

    std::vector<std::uint64_t> counts_;
    std::uint64_t count_ = 0, sum_ = 0, max_ = 0;
};

} // namespace carillon::bench
