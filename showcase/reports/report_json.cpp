#include <array>
#include <utility>

#include "reports/report.hpp"

namespace showcase::reports {

using carillon::array;
using carillon::object;
using carillon::value;

std::string_view name_of(cell_kind kind) noexcept {
    static constexpr std::array<std::string_view, 7> names{
        "missing", "integer", "number", "boolean", "date", "datetime", "text"};
    return names[static_cast<std::size_t>(kind)];
}

namespace {

value column_value(const column_report& c) {
    array histogram;
    for (const report_bin& b : c.histogram)
        histogram.push_back(object{{"from", b.from}, {"to", b.to}, {"count", b.count}});
    array top;
    for (const report_value& t : c.top)
        top.push_back(object{{"value", t.value}, {"count", t.count}});
    value deviation;
    if (c.stddev)
        deviation = *c.stddev;
    object out{{"name", c.name},
               {"type", name_of(c.type)},
               {"count", c.count},
               {"missing", c.missing},
               {"distinct", c.distinct},
               {"distinct_is_exact", c.distinct_is_exact},
               {"min", c.min},
               {"max", c.max},
               {"mean", c.mean},
               {"stddev", std::move(deviation)},
               {"q1", c.q1},
               {"median", c.median},
               {"q3", c.q3},
               {"median_is_exact", c.median_is_exact},
               {"histogram", std::move(histogram)},
               {"top", std::move(top)},
               {"top_is_exact", c.top_is_exact}};
    if (!c.top_is_exact)
        out.set("top_error", c.top_error);
    return out;
}

} // namespace

value to_value(const csv_report& report) {
    array columns;
    columns.reserve(report.columns.size());
    for (const column_report& c : report.columns)
        columns.push_back(column_value(c));
    object out{{"filename", report.filename},
               {"bytes", report.bytes},
               {"rows", report.rows},
               {"bad_rows", report.bad_rows},
               {"delimiter", std::string_view(&report.delimiter, 1)},
               {"encoding", report.byte_order_mark ? "UTF-8 with BOM" : "UTF-8"},
               {"columns", std::move(columns)}};
    if (report.bad_rows > 0)
        out.set("first_bad_row",
                object{{"line", report.first_bad_line}, {"reason", report.first_bad_reason}});
    return out;
}

} // namespace showcase::reports
