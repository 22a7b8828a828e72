#include "reports/sample.hpp"

#include <algorithm>
#include <array>

#include "reports/csv_reader.hpp"
#include "reports/limits.hpp"

namespace showcase::reports {

namespace {

struct row_widths : row_handler {
    bool on_row(const csv_row& row) override {
        if (rows == 0)
            first = row.size();
        else if (row.size() == first)
            ++equal;
        return ++rows < sample_rows_max;
    }
    std::size_t rows = 0;
    std::size_t first = 0;
    std::size_t equal = 0; // later rows as wide as the first
};

struct signature {
    std::string_view magic;
    std::string_view what;
};

using namespace std::string_view_literals;

constexpr std::array signatures{
    signature{"\xFF\xFE"sv, "The file is UTF-16 text; save it as UTF-8."},
    signature{"\xFE\xFF"sv, "The file is UTF-16 text; save it as UTF-8."},
    signature{"PK\x03\x04"sv,
              "The file is a ZIP archive, as Excel workbooks are; export the sheet as CSV."},
    signature{"\xD0\xCF\x11\xE0"sv, "The file is an old Excel workbook; export the sheet as CSV."},
    signature{"\x1F\x8B"sv, "The file is compressed with gzip; unpack it first."},
    signature{"BZh"sv, "The file is compressed with bzip2; unpack it first."},
    signature{"\x28\xB5\x2F\xFD"sv, "The file is compressed with zstd; unpack it first."},
    signature{"\xFD"
              "7zXZ"sv,
              "The file is compressed with xz; unpack it first."},
    signature{"%PDF-"sv, "The file is a PDF document, not CSV."},
    signature{"\x89PNG"sv, "The file is a PNG image, not CSV."},
    signature{"\xFF\xD8\xFF"sv, "The file is a JPEG image, not CSV."},
    signature{"GIF8"sv, "The file is a GIF image, not CSV."},
    signature{"\x7F"
              "ELF"sv,
              "The file is a program, not CSV."},
    signature{"PAR1"sv, "The file is in Parquet format, not CSV."},
    signature{"SQLite format 3"sv, "The file is an SQLite database, not CSV."},
};

// Bytes that UTF-8 text does not hold, or that no table needs.
bool is_control(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x09 || (byte > 0x0D && byte < 0x20) || byte > 0xF4;
}

} // namespace

char guess_delimiter(std::string_view sample, bool whole) {
    char best = ',';
    double best_share = -1;
    std::size_t best_width = 1;
    for (const char candidate : {'\t', '|', ';', ','}) {
        row_widths widths;
        csv_reader reader(candidate, widths);
        reader.feed(sample);
        if (whole || widths.rows == 0)
            reader.finish();
        if (widths.first < 2)
            continue;
        const double share = widths.rows < 2 ? 1.0
                                             : static_cast<double>(widths.equal) /
                                                   static_cast<double>(widths.rows - 1);
        if (share > best_share || (share == best_share && widths.first > best_width)) {
            best = candidate;
            best_share = share;
            best_width = widths.first;
        }
    }
    return best;
}

std::string describe_binary(std::string_view sample) {
    const bool controls = std::any_of(sample.begin(), sample.end(), is_control);
    for (const auto& [magic, what] : signatures) {
        // Some signatures are plain letters, with which a text may begin: control characters
        // decide.
        const bool letters = std::none_of(magic.begin(), magic.end(), is_control);
        if (sample.starts_with(magic) && (!letters || controls))
            return std::string(what);
    }
    return {};
}

} // namespace showcase::reports
