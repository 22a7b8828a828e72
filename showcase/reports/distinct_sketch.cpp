#include "reports/distinct_sketch.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace showcase::reports {

namespace {

// The two series of Ertl's estimator: what registers that stayed empty, or are full, still tell.
double sigma(double x) {
    if (x == 1.0)
        return std::numeric_limits<double>::infinity();
    double y = 1;
    double z = x;
    for (double before = -1; before != z;) {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    }
    return z;
}

double tau(double x) {
    if (x == 0.0 || x == 1.0)
        return 0;
    double y = 1;
    double z = 1 - x;
    for (double before = -1; before != z;) {
        x = std::sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    }
    return z / 3;
}

} // namespace

distinct_sketch::distinct_sketch(unsigned bits) : bits_(bits), registers_(std::size_t{1} << bits) {}

void distinct_sketch::add(std::uint64_t hash) noexcept {
    const auto index = static_cast<std::size_t>(hash >> (64 - bits_));
    // The lowest bit that is set stops the count at the width of the rest.
    const std::uint64_t rest = hash << bits_ | std::uint64_t{1} << (bits_ - 1);
    const auto rank = static_cast<std::uint8_t>(std::countl_zero(rest) + 1);
    if (rank > registers_[index])
        registers_[index] = rank;
}

double distinct_sketch::estimate() const {
    std::array<double, 66> of_rank{};
    for (const std::uint8_t r : registers_)
        of_rank[r] += 1;
    const auto m = static_cast<double>(registers_.size());
    const unsigned width = 64 - bits_;
    double z = m * tau(1 - of_rank[width + 1] / m);
    for (unsigned k = width; k >= 1; --k)
        z = 0.5 * (z + of_rank[k]);
    z += m * sigma(of_rank[0] / m);
    return m * m / (2 * std::log(2.0)) / z;
}

} // namespace showcase::reports
