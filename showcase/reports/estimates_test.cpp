#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

#include "reports/distinct_sketch.hpp"
#include "reports/frequent_values.hpp"
#include "reports/limits.hpp"
#include "reports/number_summary.hpp"
#include "reports/value_table.hpp"

using namespace showcase::reports;

namespace {

// The share of `sorted` below a value, in the middle of its equals.
double rank_of(const std::vector<double>& sorted, double value) {
    const auto low = std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin();
    const auto high = std::upper_bound(sorted.begin(), sorted.end(), value) - sorted.begin();
    return static_cast<double>(low + high) / 2 / static_cast<double>(sorted.size());
}

template <class Draw>
void check_summary(const char* name, Draw draw) {
    CAPTURE(name);
    number_summary summary;
    std::vector<double> values;
    for (std::size_t i = 0; i < 200'000; ++i) {
        values.push_back(draw(i));
        summary.add(values.back());
    }
    number_figures got = summary.figures(0);
    std::sort(values.begin(), values.end());
    long double sum = 0;
    for (const double v : values)
        sum += v;
    const auto mean = static_cast<double>(sum / static_cast<long double>(values.size()));
    long double squares = 0;
    for (const double v : values)
        squares += static_cast<long double>((v - mean) * (v - mean));
    const auto n = static_cast<long double>(values.size());
    CHECK(got.min == values.front());
    CHECK(got.max == values.back());
    CHECK(got.mean == doctest::Approx(mean).epsilon(1e-10));
    CHECK(*got.deviation ==
          doctest::Approx(static_cast<double>(std::sqrt(squares / (n - 1)))).epsilon(1e-9));
    CHECK(std::abs(rank_of(values, got.q1) - 0.25) < 0.005);
    CHECK(std::abs(rank_of(values, got.median) - 0.5) < 0.005);
    CHECK(std::abs(rank_of(values, got.q3) - 0.75) < 0.005);
    CHECK(got.histogram.size() <= shown_bins_max);
    for (const auto& bin : got.histogram) {
        const auto first = std::lower_bound(values.begin(), values.end(), bin.from);
        const auto last = std::lower_bound(values.begin(), values.end(), bin.to);
        CHECK(bin.count == static_cast<std::uint64_t>(last - first));
    }
}

} // namespace

TEST_CASE("the summary of a stream of numbers agrees with the sorted numbers") {
    std::mt19937_64 random(11);
    std::normal_distribution<double> normal(1e9, 3);
    std::lognormal_distribution<double> skewed(0, 3);
    std::uniform_real_distribution<double> even(-1, 1);
    check_summary("normal, far from zero", [&](std::size_t) { return normal(random); });
    check_summary("skewed", [&](std::size_t) { return skewed(random); });
    check_summary("even", [&](std::size_t) { return even(random); });
    check_summary("ascending", [&](std::size_t i) { return static_cast<double>(i); });
    check_summary("descending", [&](std::size_t i) { return -static_cast<double>(i); });
    check_summary("a range that doubles all the time", [&](std::size_t i) {
        return even(random) * std::pow(1.0005, static_cast<double>(i));
    });
    check_summary("mostly far outliers late",
                  [&](std::size_t i) { return i < 150'000 ? even(random) : 1e15 + even(random); });
}

TEST_CASE("extreme numbers neither overflow nor lose a count") {
    const double extremes[] = {0.0,   -0.0, 5e-324, -5e-324, 1e-300, 1.7e308, -1.7e308,
                               1e300, -1,   1,      1e18,    -1e18,  0.1};
    for (const double first : extremes)
        for (const double second : extremes) {
            CAPTURE(first);
            CAPTURE(second);
            number_summary summary;
            summary.add(first);
            for (int i = 0; i < 600; ++i)
                summary.add(i % 2 == 0 ? first : second);
            const number_figures got = summary.figures(0);
            std::uint64_t count = 0;
            for (const auto& bin : got.histogram)
                count += bin.count;
            CHECK(count == 601);
            CHECK(got.histogram.size() <= shown_bins_max);
        }
}

TEST_CASE("exact quantiles interpolate between neighbours, whatever the counts") {
    const std::vector<weighted> values{{1, 1}, {2, 3}, {10, 1}, {20, 1}}; // 1 2 2 2 10 20
    CHECK(exact_quantile(values, 6, 0) == 1);
    CHECK(exact_quantile(values, 6, 0.25) == 2);
    CHECK(exact_quantile(values, 6, 0.5) == 2);
    CHECK(exact_quantile(values, 6, 0.75) == doctest::Approx(8));
    CHECK(exact_quantile(values, 6, 1) == 20);
    const std::vector<weighted> one{{7, 5}};
    CHECK(exact_quantile(one, 5, 0.75) == 7);
}

TEST_CASE("the number of different values is estimated within four standard errors") {
    for (const std::uint64_t n : {1u, 100u, 10'000u, 30'000u, 60'000u, 200'000u, 2'000'000u}) {
        distinct_sketch sketch(14);
        for (std::uint64_t i = 0; i < n; ++i) {
            const std::string text = std::to_string(i);
            const std::uint64_t hash = hash_of(text);
            sketch.add(hash);
            sketch.add(hash);
        }
        CAPTURE(n);
        const auto expected = static_cast<double>(n);
        CHECK(std::abs(sketch.estimate() - expected) <= 4 * 0.0081 * expected + 0.5);
    }
    CHECK(distinct_sketch(14).estimate() == 0);
}

TEST_CASE("frequent values keep every heavy one and never count too much") {
    std::mt19937 random(5);
    std::geometric_distribution<int> heavy(0.05);
    std::map<std::string, std::uint64_t> truth;
    frequent_values estimate(256);
    for (int i = 0; i < 200'000; ++i) {
        const std::string text =
            i % 2 == 0 ? "heavy " + std::to_string(heavy(random)) : "once " + std::to_string(i);
        ++truth[text];
        estimate.add(text, hash_of(text));
    }
    std::map<std::string, std::uint64_t> got;
    for (const auto& c : estimate.sorted()) {
        got[c.text] = c.count;
        CHECK(c.count <= truth[c.text]);
        CHECK(c.count + estimate.error() >= truth[c.text]);
    }
    for (const auto& [text, count] : truth)
        if (count > estimate.error())
            CHECK(got.count(text) == 1);
    // The guarantee would be empty if the error were as large as the counts.
    CHECK(estimate.error() < truth["heavy 0"] / 2);
}

TEST_CASE("a table counts to its limit, refuses more, and gives its memory back") {
    memory_budget budget(exact_bytes_max);
    {
        value_table table(budget);
        for (std::size_t i = 0; i < exact_values_max; ++i) {
            const std::string text = std::to_string(i);
            CHECK(table.add(text, hash_of(text)));
        }
        CHECK(table.add("17", hash_of("17")));
        CHECK_FALSE(table.add("new", hash_of("new")));
        CHECK(table.entries().size() == exact_values_max);
        CHECK(table.entries()[17].count == 2);
        CHECK(table.text_of(table.entries()[17]) == "17");
        CHECK_FALSE(budget.take(exact_bytes_max));
    }
    CHECK(budget.take(exact_bytes_max));
    value_table starved(budget);
    CHECK_FALSE(starved.add("x", hash_of("x")));
}

TEST_CASE("values whose hashes agree in half their bits are found as fast as others") {
    // A table that took its places from the low or the high bits alone would walk past all entries every time:
    // fifty million steps for these, and as many for each further pass over such a file.
    for (const unsigned shift : {0u, 32u}) {
        memory_budget budget(exact_bytes_max);
        value_table table(budget);
        for (std::uint64_t i = 0; i < exact_values_max; ++i)
            CHECK(table.add("x", i << shift));
        CHECK(table.longest_walk() < 1000);
    }
}
