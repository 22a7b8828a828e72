#include "reports/quantile_digest.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "reports/limits.hpp"

namespace showcase::reports {

namespace {

// The scale function k1(q) = compression / 2pi * asin(2q - 1): one centroid may span one unit of
// it.
constexpr double k_per_radian = digest_compression / (2 * std::numbers::pi);

// The share up to which a centroid that begins at share q may reach.
double share_limit(double q) {
    const double angle = std::asin(std::clamp(2 * q - 1, -1.0, 1.0)) + 1 / k_per_radian;
    return angle >= std::numbers::pi / 2 ? 1.0 : (std::sin(angle) + 1) / 2;
}

double between(double low, double high, double share) {
    return share == 0 || low == high ? low : low + (high - low) * share;
}

} // namespace

// `next(i)` is the i-th of `size` new centroids, which are in ascending order.
template <class Next>
void quantile_digest::merge(std::size_t size, double weight, Next next) {
    weight_ += weight;
    std::vector<centroid> merged;
    merged.reserve(std::min(digest_compression, centroids_.size() + size));
    std::size_t old_at = 0;
    std::size_t new_at = 0;
    double before = 0; // weight of the finished centroids
    double limit = weight_ * share_limit(0);
    centroid open{0, 0};
    while (old_at < centroids_.size() || new_at < size) {
        const bool take_old = new_at == size || (old_at < centroids_.size() &&
                                                 centroids_[old_at].mean <= next(new_at).mean);
        const centroid c = take_old ? centroids_[old_at++] : next(new_at++);
        if (open.weight > 0 && before + open.weight + c.weight > limit) {
            before += open.weight;
            merged.push_back(open);
            limit = weight_ * share_limit(before / weight_);
            open = {0, 0};
        }
        open.weight += c.weight;
        open.mean += (c.mean - open.mean) * (c.weight / open.weight);
    }
    merged.push_back(open);
    centroids_ = std::move(merged);
}

void quantile_digest::add_sorted(std::span<const double> values) {
    if (!values.empty())
        merge(values.size(), static_cast<double>(values.size()), [&](std::size_t i) {
            return centroid{values[i], 1.0};
        });
}

void quantile_digest::add_sorted(std::span<const weighted> values) {
    double weight = 0;
    for (const weighted& v : values)
        weight += static_cast<double>(v.count);
    if (!values.empty())
        merge(values.size(), weight, [&](std::size_t i) {
            return centroid{values[i].value, static_cast<double>(values[i].count)};
        });
}

double quantile_digest::quantile(double q, double min, double max) const {
    if (centroids_.empty())
        return 0;
    // Each mean stands in the middle of its weight; between means the line is straight.
    const double rank = q * weight_;
    double middle = centroids_.front().weight / 2;
    if (rank <= middle)
        return between(min, centroids_.front().mean, rank / middle);
    for (std::size_t i = 1; i < centroids_.size(); ++i) {
        const double step = (centroids_[i - 1].weight + centroids_[i].weight) / 2;
        if (rank <= middle + step)
            return between(centroids_[i - 1].mean, centroids_[i].mean, (rank - middle) / step);
        middle += step;
    }
    const double tail = centroids_.back().weight / 2;
    return between(centroids_.back().mean, max, std::min(1.0, (rank - middle) / tail));
}

double exact_quantile(std::span<const weighted> sorted, std::uint64_t total, double q) {
    const double position = q * static_cast<double>(total - 1);
    const auto rank = static_cast<std::uint64_t>(position);
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        passed += sorted[i].count;
        if (rank >= passed)
            continue;
        const double low = sorted[i].value;
        const bool next_is_same = rank + 1 < passed || i + 1 == sorted.size();
        const double high = next_is_same ? low : sorted[i + 1].value;
        return between(low, high, position - static_cast<double>(rank));
    }
    return sorted.back().value;
}

} // namespace showcase::reports
