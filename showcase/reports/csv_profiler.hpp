// The CSV report: bytes in, figures of every column out, in one pass and bounded memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <carillon/base/bytes.hpp>
#include <carillon/base/result.hpp>

#include "reports/report.hpp"

namespace showcase::reports {

// Feed a file in pieces of any size, then finish. How the bytes are cut does not change the report.
// Not thread-safe; one profiler per file.
class csv_profiler {
public:
    explicit csv_profiler(std::string filename);
    ~csv_profiler();

    // errc::invalid with a sentence that names the line, for a file that is no usable CSV: not
    // UTF-8, binary, more than columns_max columns. After a failure every further call gives the
    // same one.
    carillon::result<void> feed(carillon::bytes_view piece);

    // The report. errc::invalid also for an empty file, one that ends inside a quoted cell, and one
    // of which no row has as many cells as the header. To be called once.
    carillon::result<csv_report> finish();

    // Rows of the file so far, good and bad, without the header.
    std::uint64_t rows() const noexcept;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace showcase::reports
