// Bytes in pieces of any size to rows of cells: RFC 4180, read forgivingly.
//
// Rows end with CRLF, LF or CR. Empty lines are skipped. Inside quotes everything belongs to the
// cell and a doubled quote is one quote. Beyond the RFC, as Python's csv module reads it: a quote
// inside an unquoted cell is an ordinary character, and what follows a closing quote belongs to the
// cell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace showcase::reports {

// One row. The views live until the handler returns.
class csv_row {
public:
    csv_row(const char* text, const std::vector<std::uint32_t>& ends, std::uint64_t line,
            bool too_long)
        : text_(text), ends_(&ends), line_(line), too_long_(too_long) {}

    std::size_t size() const noexcept { return ends_->size(); }
    std::string_view operator[](std::size_t i) const noexcept {
        const std::uint32_t begin = i == 0 ? 0 : (*ends_)[i - 1];
        return {text_ + begin, (*ends_)[i] - begin};
    }
    // The line on which the row begins, counted from 1 and counting the newlines inside cells.
    std::uint64_t line() const noexcept { return line_; }
    // The row passed a limit (cell_bytes_max, row_bytes_max, columns_max); its cells are
    // incomplete.
    bool too_long() const noexcept { return too_long_; }

private:
    const char* text_;
    const std::vector<std::uint32_t>* ends_;
    std::uint64_t line_;
    bool too_long_;
};

// Receives rows. A handler that returns false has seen enough: the reader ignores all further
// input.
class row_handler {
public:
    virtual ~row_handler() = default;
    virtual bool on_row(const csv_row& row) = 0;
};

// The state machine. Holds one row at a time, at most row_bytes_max of it. Not thread-safe.
class csv_reader {
public:
    // The handler must outlive the reader.
    csv_reader(char delimiter, row_handler& handler);

    void feed(std::string_view piece);
    // Ends the last row when it has no newline. False when the input ended inside a quoted cell:
    // that row is not handed on.
    bool finish();

    // The present line, counted from 1.
    std::uint64_t line() const noexcept { return line_; }
    // The line on which the quoted cell began that is open now, or was the last one.
    std::uint64_t quote_line() const noexcept { return quote_line_; }

private:
    enum class state : std::uint8_t {
        row_start,
        after_return, // a CR ended a row: an LF that follows belongs to it
        cell_start,
        plain,
        quoted,
        quote_seen, // inside quotes, after a quote: the end of the cell or the first of two
        stopped,
    };

    const char* read_plain(const char* p, const char* end);
    const char* read_quoted(const char* p, const char* end);
    void append(const char* from, const char* to);
    void end_cell();
    void end_row(char terminator);

    row_handler* handler_;
    std::uint8_t classes_[256] = {};
    state state_ = state::row_start;
    bool too_long_ = false;
    bool return_in_quotes_ =
        false; // the last byte inside quotes was a CR, already counted as a line
    std::string text_;
    std::size_t cell_begin_ = 0;
    std::vector<std::uint32_t> ends_;
    std::uint64_t line_ = 1;
    std::uint64_t row_line_ = 1;
    std::uint64_t quote_line_ = 0;
};

} // namespace showcase::reports
