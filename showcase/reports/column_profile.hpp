// What is known of one column while its cells pass by, and its report in the end.
//
// First exact: a table of the different values and their counts. When that is full, its content
// moves into estimates of fixed size and the cells go there. The type is decided in the end from
// the counts of each kind of cell, so a late text among numbers loses nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "reports/cell.hpp"
#include "reports/distinct_sketch.hpp"
#include "reports/frequent_values.hpp"
#include "reports/number_summary.hpp"
#include "reports/report.hpp"
#include "reports/value_table.hpp"

namespace showcase::reports {

// How large the estimates of one column may be.
struct sketch_sizes {
    std::size_t frequent_values;
    unsigned distinct_bits;
    static sketch_sizes for_columns(std::size_t columns) noexcept;
};

// Counts and extremes of the cells of one column, by kind.
class cell_tally {
public:
    // `count` equal cells; the text is compared by its first kept_text_bytes_max bytes.
    void add(const cell& c, std::string_view text, std::uint64_t count);

    std::uint64_t of(cell_kind kind) const noexcept {
        return counts_[static_cast<std::size_t>(kind)];
    }
    // Cells that are not missing.
    std::uint64_t present() const noexcept;
    cell_kind type() const noexcept;
    bool all_have_zone() const noexcept { return zoned_ == of(cell_kind::datetime); }
    // Of the integers.
    std::int64_t integer_min() const noexcept { return integer_min_; }
    std::int64_t integer_max() const noexcept { return integer_max_; }
    // Of all cells, in the order of their bytes.
    const std::string& text_min() const noexcept { return text_min_; }
    const std::string& text_max() const noexcept { return text_max_; }

private:
    void widen_text_range(std::string_view text);

    std::array<std::uint64_t, 7> counts_{};
    std::uint64_t zoned_ = 0;
    std::int64_t integer_min_ = INT64_MAX;
    std::int64_t integer_max_ = INT64_MIN;
    std::string text_min_;
    std::string text_max_;
    std::uint64_t min_prefix_ =
        UINT64_MAX; // the first eight bytes of the texts, for a quick comparison
    std::uint64_t max_prefix_ = 0;
    bool has_text_ = false;
};

class column_profile {
public:
    // The budget must outlive the column. Not thread-safe.
    column_profile(std::string name, sketch_sizes sizes, memory_budget& budget);

    void add(std::string_view text);
    // The report of the cells so far. May be called once.
    column_report finish();

private:
    struct sketches;
    void leave_exact_stage();
    void add_to_sketches(std::string_view text, std::uint64_t hash);
    void count_frequent(sketches& s, const cell& c, std::string_view text, std::uint64_t hash);
    void report_exact(column_report& out);
    void report_estimates(column_report& out);

    std::string name_;
    sketch_sizes sizes_;
    std::uint64_t empty_ = 0; // cells without a single byte
    std::unique_ptr<value_table> table_;
    std::unique_ptr<sketches> sketches_;
    cell_tally tally_;

public:
    ~column_profile();
    column_profile(column_profile&&) noexcept;
};

} // namespace showcase::reports
