// What one cell is by itself: missing, a number, a date, ... The rules are those of
// docs/reports.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace showcase::reports {

enum class cell_kind : std::uint8_t { missing, integer, number, boolean, date, datetime, text };

struct cell {
    cell_kind kind = cell_kind::text;
    bool has_zone = false; // of a datetime: it named its offset from UTC
    std::int64_t integer = 0;
    // Of an integer or a number its value; of a date or datetime the days since 1970-01-01 in UTC.
    double number = 0;
};

// Reads a cell. Spaces around it do not count, except in text.
cell read_cell(std::string_view text) noexcept;

// "2012-02-29" for days since 1970-01-01; a fraction of a day is dropped.
std::string format_date(double days);
// "2012-02-29T13:45:00", to the millisecond when there is a fraction of a second; with Z when
// `utc`.
std::string format_datetime(double days, bool utc);

} // namespace showcase::reports
