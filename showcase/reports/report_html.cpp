#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <kainjow/mustache.hpp>

#include "reports/report.hpp"
#include "reports/report_template.hpp"

namespace showcase::reports {

namespace {

using kainjow::mustache::data;

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t n) {
    std::string out = std::to_string(n);
    for (std::size_t i = out.size(); i > 3; i -= 3)
        out.insert(i - 3, ",");
    return out;
}

std::string bytes_text(std::uint64_t n) {
    static constexpr std::array units{"bytes", "kB", "MB", "GB", "TB"};
    auto size = static_cast<double>(n);
    std::size_t unit = 0;
    for (; size >= 1000 && unit + 1 < units.size(); ++unit)
        size /= 1000;
    return unit == 0 ? fmt::format("{} bytes", n) : fmt::format("{:.1f} {}", size, units[unit]);
}

// Large numbers in groups, with two decimals when they are not whole; small ones with six digits.
std::string number_text(double n) {
    const double size = std::abs(n);
    const bool whole = n == std::floor(n);
    if (size >= 1e15 || (size < 1e5 && !whole))
        return fmt::format("{:.6g}", n);
    const std::string digits = fmt::format("{:.2f}", size);
    std::string out = grouped(std::stoull(digits));
    if (!whole)
        out += digits.substr(digits.find('.'));
    return n < 0 ? "-" + out : out;
}

// Dates as people write them: no T, no fraction of a second; of a date column only the day.
std::string scalar_text(const carillon::value& v, cell_kind type) {
    if (v.is_number())
        return number_text(v.to_double());
    std::string out(v.to_text());
    if (type == cell_kind::date)
        return out.substr(0, 10);
    if (type != cell_kind::datetime)
        return out;
    const bool utc = out.ends_with('Z');
    out.resize(19);
    out[10] = ' ';
    return utc ? out + " UTC" : out;
}

std::string delimiter_text(char delimiter) {
    switch (delimiter) {
    case ',': return "commas";
    case ';': return "semicolons";
    case '\t': return "tabs";
    default: return "bars";
    }
}

data figures_of(const column_report& c) {
    data out{data::type::list};
    const auto add = [&](const char* label, const std::string& text) {
        data row;
        row.set("label", label);
        row.set("value", text);
        out.push_back(row);
    };
    const auto add_scalar = [&](const char* label, const carillon::value& v, bool exact = true) {
        if (!v.is_null())
            add(label, (exact ? "" : "≈ ") + scalar_text(v, c.type));
    };
    add("Values", grouped(c.count));
    add("Missing", grouped(c.missing));
    add("Different", (c.distinct_is_exact ? "" : "≈ ") + grouped(c.distinct));
    add_scalar("Minimum", c.min);
    add_scalar("Lower quartile", c.q1, c.median_is_exact);
    add_scalar("Median", c.median, c.median_is_exact);
    add_scalar("Upper quartile", c.q3, c.median_is_exact);
    add_scalar("Maximum", c.max);
    add_scalar("Mean", c.mean);
    if (c.stddev) {
        const bool days = c.type == cell_kind::date || c.type == cell_kind::datetime;
        add("Standard deviation", number_text(*c.stddev) + (days ? " days" : ""));
    }
    return out;
}

void set_chart(data& out, const column_report& c) {
    std::uint64_t highest = 0;
    for (const report_bin& b : c.histogram)
        highest = std::max(highest, b.count);
    out.set("has_chart", highest > 0);
    if (highest == 0)
        return;
    data bars{data::type::list};
    for (std::size_t i = 0; i < c.histogram.size(); ++i) {
        const report_bin& b = c.histogram[i];
        const double height = 100 * static_cast<double>(b.count) / static_cast<double>(highest);
        data bar;
        bar.set("x", fmt::format("{:.2f}", static_cast<double>(i) + 0.04));
        bar.set("y", fmt::format("{:.2f}", 100 - height));
        bar.set("height", fmt::format("{:.2f}", height));
        bar.set("from", scalar_text(b.from, c.type));
        bar.set("to", scalar_text(b.to, c.type));
        bar.set("count", grouped(b.count));
        bars.push_back(bar);
    }
    out.set("bars", bars);
    out.set("bins", std::to_string(c.histogram.size()));
    out.set("scale_from", scalar_text(c.histogram.front().from, c.type));
    out.set("scale_to", scalar_text(c.histogram.back().to, c.type));
}

void set_top(data& out, const column_report& c) {
    const bool wanted = c.histogram.empty() && !c.top.empty();
    out.set("has_top", wanted);
    if (!wanted)
        return;
    data top{data::type::list};
    for (const report_value& t : c.top) {
        data row;
        row.set("value", t.value);
        row.set("count", (c.top_is_exact ? "" : "≥ ") + grouped(t.count));
        row.set("share", fmt::format("{:.2f}", 100 * static_cast<double>(t.count) /
                                                   static_cast<double>(c.count)));
        top.push_back(row);
    }
    out.set("top", top);
}

std::string note_of(const column_report& c) {
    if (c.distinct_is_exact)
        return {};
    if (!c.histogram.empty())
        return "≈ marks estimates: the column has too many different values to keep them all.";
    if (c.top.empty())
        return "No value is frequent enough to stand out among so many different ones.";
    return fmt::format("Estimated: a count may be up to {} too low.", grouped(c.top_error));
}

data column_data(const column_report& c) {
    data out;
    out.set("name", c.name);
    out.set("type", std::string(name_of(c.type)));
    out.set("figures", figures_of(c));
    set_chart(out, c);
    set_top(out, c);
    const std::string note = note_of(c);
    if (note.empty())
        out.set("note", data{data::type::bool_false});
    else
        out.set("note", note);
    return out;
}

} // namespace

std::string to_html(const csv_report& report) {
    data page;
    page.set("filename", report.filename.empty() ? "CSV report" : report.filename);
    page.set("rows", grouped(report.rows));
    page.set("columns_count", grouped(report.columns.size()));
    page.set("bytes", bytes_text(report.bytes));
    page.set("encoding", report.byte_order_mark ? "UTF-8 with BOM" : "UTF-8");
    page.set("delimiter", delimiter_text(report.delimiter));
    page.set("has_bad_rows", report.bad_rows > 0);
    page.set("bad_rows", grouped(report.bad_rows));
    page.set("first_bad_line", grouped(report.first_bad_line));
    page.set("first_bad_reason", report.first_bad_reason);
    data columns{data::type::list};
    for (const column_report& c : report.columns)
        columns.push_back(column_data(c));
    page.set("columns", columns);
    kainjow::mustache::mustache page_template{std::string(report_template)};
    return page_template.render(page);
}

} // namespace showcase::reports
