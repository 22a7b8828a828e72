// The finished CSV report as a value, and its two renderings: result.json and result.html.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <carillon/base/value.hpp>

#include "reports/cell.hpp"

namespace showcase::reports {

// Bounds and extremes are numbers for numeric columns, ISO 8601 texts for dates, texts else, null
// where a figure does not apply.
struct report_bin {
    carillon::value from; // inclusive
    carillon::value to;   // exclusive
    std::uint64_t count = 0;
};

struct report_value {
    std::string value;
    std::uint64_t count = 0;
};

struct column_report {
    std::string name;
    cell_kind type = cell_kind::text; // never `missing`
    std::uint64_t count = 0;          // cells that are not missing
    std::uint64_t missing = 0;
    std::uint64_t distinct = 0;
    bool distinct_is_exact = true;
    carillon::value min;
    carillon::value max;
    carillon::value mean;
    std::optional<double> stddev; // of dates: in days
    carillon::value q1;
    carillon::value median;
    carillon::value q3;
    bool median_is_exact = true; // the quartiles likewise
    std::vector<report_bin> histogram;
    std::vector<report_value> top;
    bool top_is_exact = true;
    std::uint64_t top_error = 0; // counts in `top` are too low by at most this
};

struct csv_report {
    std::string filename;
    std::uint64_t bytes = 0;
    std::uint64_t rows = 0;     // rows below the header that went into the columns
    std::uint64_t bad_rows = 0; // rows left out
    std::uint64_t first_bad_line = 0;
    std::string first_bad_reason;
    char delimiter = ',';
    bool byte_order_mark = false;
    std::vector<column_report> columns;
};

// "integer", "number", "boolean", "date", "datetime", "text", "missing".
std::string_view name_of(cell_kind kind) noexcept;

// The object of result.json.
carillon::value to_value(const csv_report& report);

// One self-contained page: no scripts, nothing loaded from elsewhere, light and dark, all content
// escaped.
std::string to_html(const csv_report& report);

} // namespace showcase::reports
