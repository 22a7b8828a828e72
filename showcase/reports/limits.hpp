// Every bound of the CSV report, in one place. docs/reports.md explains them to users.
//
// Together they keep one report below about 100 MB of memory, whatever the file holds.
#pragma once

#include <cstddef>

namespace showcase::reports {

// The delimiter is guessed, and a binary file recognised, from this many bytes at the start of the
// file.
inline constexpr std::size_t sample_bytes_max = 64 * 1024;
// Rows of the sample that the delimiter guess looks at.
inline constexpr std::size_t sample_rows_max = 100;

// A row with a longer cell, or with more bytes in all its cells, is counted as bad and not kept.
inline constexpr std::size_t cell_bytes_max = 1024 * 1024;
inline constexpr std::size_t row_bytes_max = 4 * 1024 * 1024;
// A header with more cells is refused.
inline constexpr std::size_t columns_max = 2048;
// Longer column names are cut.
inline constexpr std::size_t name_bytes_max = 200;

// A column is computed exactly while it has at most this many different values ...
inline constexpr std::size_t exact_values_max = 10'000;
// ... and while the values of all columns together need no more memory than this.
inline constexpr std::size_t exact_bytes_max = 24 * 1024 * 1024;
// Longer cells are text whatever they hold, and are shown cut; they are told apart by all their
// bytes nevertheless.
inline constexpr std::size_t shown_text_bytes_max = 200;
// One byte more tells that something was cut.
inline constexpr std::size_t kept_text_bytes_max = shown_text_bytes_max + 1;

// Files with more columns than this are wide: estimates use the smaller sizes below.
inline constexpr std::size_t narrow_columns_max = 256;
// Counters of the estimate of the most frequent values: so many for all columns together, and at
// most so many for one. At least 32 are left for each of columns_max columns.
inline constexpr std::size_t frequent_values_total = 64 * 1024;
inline constexpr std::size_t frequent_values_max = 4096;
// Registers of the estimate of how many values differ, as a power of two; one byte each.
inline constexpr unsigned distinct_bits_narrow = 14;
inline constexpr unsigned distinct_bits_wide = 11;

// Centroids of the estimate of median and quartiles: at most about this many.
inline constexpr std::size_t digest_compression = 200;
// Numbers gathered before they are worked into the estimates.
inline constexpr std::size_t number_buffer_values = 256;
// Bins kept while reading, and the most shown in the end.
inline constexpr std::size_t fine_bins = 256;
inline constexpr std::size_t shown_bins_max = 20;

// The most frequent values shown per column.
inline constexpr std::size_t top_values_max = 10;

} // namespace showcase::reports
