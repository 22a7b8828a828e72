// The CSV report of any bytes: no crash, bounded output, and the same answer however the bytes are
// cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include <carillon/base/assert.hpp>

#include "showcase/reports/csv_profiler.hpp"

namespace {

using showcase::reports::csv_profiler;
using showcase::reports::csv_report;

carillon::result<csv_report> report_of(carillon::bytes_view file, std::size_t piece) {
    csv_profiler profiler("fuzz.csv");
    for (std::size_t at = 0; at < file.size(); at += piece)
        if (auto fed = profiler.feed(file.subspan(at, std::min(piece, file.size() - at))); !fed)
            return fed.error();
    return profiler.finish();
}

void check_sums(const csv_report& report) {
    for (const auto& column : report.columns) {
        CARILLON_ASSERT(column.count + column.missing == report.rows, "every cell is counted once");
        CARILLON_ASSERT(column.distinct <= column.count, "no more different values than values");
        std::uint64_t in_bins = 0;
        for (const auto& bin : column.histogram)
            in_bins += bin.count;
        CARILLON_ASSERT(column.histogram.empty() || in_bins == column.count,
                        "every number lies in one bin");
    }
}

} // namespace

// The first byte is the length of the pieces, the rest is the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const carillon::bytes_view file(reinterpret_cast<const std::byte*>(data + 1), size - 1);
    const auto whole = report_of(file, file.size() + 1);
    const auto cut = report_of(file, std::size_t{data[0]} + 1);
    CARILLON_ASSERT(whole.has_value() == cut.has_value(), "pieces do not change the outcome");
    if (!whole) {
        CARILLON_ASSERT(whole.error().message == cut.error().message, "nor the message");
        return 0;
    }
    CARILLON_ASSERT(to_value(*whole) == to_value(*cut), "nor the report");
    check_sums(*whole);
    // Rendering takes a hundred times as long as the rest.
    if (data[0] % 16 == 0)
        CARILLON_ASSERT(to_html(*whole).find("<script") == std::string::npos,
                        "the page has no scripts");
    return 0;
}
