#include "reports/csv_profiler.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "reports/column_profile.hpp"
#include "reports/csv_reader.hpp"
#include "reports/limits.hpp"
#include "reports/sample.hpp"
#include "reports/text_gate.hpp"

namespace showcase::reports {

using carillon::errc;
using carillon::failure;
using carillon::result;

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

std::string_view trim_name(std::string_view name) {
    constexpr std::string_view blank = " \t\r\n";
    const std::size_t first = name.find_first_not_of(blank);
    if (first == std::string_view::npos)
        return {};
    name = name.substr(first, name.find_last_not_of(blank) - first + 1);
    if (name.size() <= name_bytes_max)
        return name;
    std::size_t end = name_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80)
        --end;
    return name.substr(0, end);
}

// Names for all cells of a header: what is empty is numbered, what is there twice gets a suffix.
std::vector<std::string> column_names(const csv_row& header) {
    std::unordered_set<std::string> taken;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < header.size(); ++i) {
        std::string base(trim_name(header[i]));
        if (base.empty())
            base = fmt::format("column_{}", i + 1);
        std::string name = base;
        for (std::size_t n = 2; !taken.insert(name).second; ++n)
            name = fmt::format("{}_{}", base, n);
        names.push_back(std::move(name));
    }
    return names;
}

std::string printable(unsigned char byte) { return fmt::format("0x{:02X}", byte); }

} // namespace

class csv_profiler::impl final : public row_handler {
public:
    explicit impl(std::string filename) : budget_(exact_bytes_max) {
        report_.filename = std::move(filename);
    }

    void feed(std::string_view piece);
    void finish();
    bool on_row(const csv_row& row) override;

    std::optional<failure> failure_;
    csv_report report_;

private:
    void begin(bool whole);
    void consume(std::string_view piece);
    void fail_at(std::uint64_t line, std::string what);
    void fail_on_byte(const text_gate::verdict& verdict, unsigned char byte);
    void read_header(const csv_row& row);
    void count_bad(const csv_row& row);

    memory_budget budget_;
    std::string sample_;
    bool begun_ = false;
    bool sample_has_nul_ = false;
    text_gate gate_;
    std::optional<csv_reader> reader_;
    std::vector<column_profile> columns_;
};

void csv_profiler::impl::fail_at(std::uint64_t line, std::string what) {
    if (!failure_)
        failure_ = failure{errc::invalid, fmt::format("Line {}: {}", line, what)};
}

void csv_profiler::impl::feed(std::string_view piece) {
    if (failure_)
        return;
    report_.bytes += piece.size();
    if (!begun_) {
        const std::size_t part = std::min(piece.size(), sample_bytes_max - sample_.size());
        sample_.append(piece.substr(0, part));
        piece.remove_prefix(part);
        if (sample_.size() < sample_bytes_max)
            return;
        begin(false);
    }
    consume(piece);
}

void csv_profiler::impl::begin(bool whole) {
    begun_ = true;
    std::string_view text = sample_;
    if (std::string what = describe_binary(text); !what.empty()) {
        failure_ = failure{errc::invalid, fmt::format("Line 1: {}", what)};
        return;
    }
    if (text.starts_with(byte_order_mark)) {
        report_.byte_order_mark = true;
        text.remove_prefix(byte_order_mark.size());
    }
    sample_has_nul_ = text.find('\0') != std::string_view::npos;
    report_.delimiter = guess_delimiter(text, whole);
    reader_.emplace(report_.delimiter, *this);
    consume(text);
    std::string().swap(sample_);
}

void csv_profiler::impl::consume(std::string_view piece) {
    if (failure_ || piece.empty())
        return;
    const text_gate::verdict verdict = gate_.feed(piece);
    reader_->feed(piece.substr(0, verdict.good_bytes));
    if (verdict.fault != text_fault::none)
        fail_on_byte(verdict, static_cast<unsigned char>(piece[verdict.good_bytes]));
}

void csv_profiler::impl::fail_on_byte(const text_gate::verdict& verdict, unsigned char byte) {
    if (verdict.fault == text_fault::nul_byte || sample_has_nul_)
        return fail_at(reader_->line(),
                       "there are bytes that no text holds; the file is binary, not CSV.");
    fail_at(
        reader_->line(),
        fmt::format("the text is not valid UTF-8 (at the byte {}). It may be in Latin-1 "
                    "(Windows-1252); save it as UTF-8, or convert it with: iconv -f WINDOWS-1252 "
                    "-t UTF-8 FILE",
                    printable(byte)));
}

void csv_profiler::impl::read_header(const csv_row& row) {
    if (row.size() > columns_max)
        return fail_at(row.line(),
                       fmt::format("the header has more than {} columns.", columns_max));
    if (row.too_long())
        return fail_at(row.line(),
                       fmt::format("the header has a name longer than {} bytes; perhaps a "
                                   "quote is not closed.",
                                   cell_bytes_max));
    const sketch_sizes sizes = sketch_sizes::for_columns(row.size());
    columns_.reserve(row.size());
    for (std::string& name : column_names(row))
        columns_.emplace_back(std::move(name), sizes, budget_);
}

void csv_profiler::impl::count_bad(const csv_row& row) {
    if (report_.bad_rows++ > 0)
        return;
    report_.first_bad_line = row.line();
    if (row.too_long())
        report_.first_bad_reason =
            fmt::format("a cell or the row is too long (more than {} or {} bytes); "
                        "perhaps a quote is not closed",
                        cell_bytes_max, row_bytes_max);
    else
        report_.first_bad_reason = fmt::format("{} {}, the header has {}", row.size(),
                                               row.size() == 1 ? "cell" : "cells", columns_.size());
}

bool csv_profiler::impl::on_row(const csv_row& row) {
    if (columns_.empty()) {
        read_header(row);
        return !failure_;
    }
    if (row.too_long() || row.size() != columns_.size()) {
        count_bad(row);
        return true;
    }
    ++report_.rows;
    for (std::size_t i = 0; i < columns_.size(); ++i)
        columns_[i].add(row[i]);
    return true;
}

void csv_profiler::impl::finish() {
    if (!failure_ && report_.bytes == 0)
        return fail_at(1, "the file is empty.");
    if (!failure_ && !begun_)
        begin(true);
    if (failure_)
        return;
    if (gate_.ended_inside_character())
        return fail_at(reader_->line(),
                       "the file ends inside a UTF-8 character; it may be cut off.");
    if (!reader_->finish())
        return fail_at(
            reader_->quote_line(),
            "the quoted cell that begins here is not closed; a quote is missing, or the file "
            "is cut off.");
    if (failure_)
        return;
    if (columns_.empty())
        return fail_at(1, "the file holds only empty lines.");
    if (report_.rows == 0 && report_.bad_rows > 0)
        return fail_at(report_.first_bad_line,
                       fmt::format("{}; no row of the file is usable.", report_.first_bad_reason));
    for (column_profile& column : columns_)
        report_.columns.push_back(column.finish());
}

csv_profiler::csv_profiler(std::string filename)
    : impl_(std::make_unique<impl>(std::move(filename))) {}
csv_profiler::~csv_profiler() = default;

result<void> csv_profiler::feed(carillon::bytes_view piece) {
    impl_->feed(carillon::as_text(piece));
    if (impl_->failure_)
        return *impl_->failure_;
    return {};
}

result<csv_report> csv_profiler::finish() {
    impl_->finish();
    if (impl_->failure_)
        return *impl_->failure_;
    return std::move(impl_->report_);
}

std::uint64_t csv_profiler::rows() const noexcept {
    return impl_->report_.rows + impl_->report_.bad_rows;
}

} // namespace showcase::reports
