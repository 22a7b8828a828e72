#include "reports/csv_reader.hpp"

#include "reports/limits.hpp"

namespace showcase::reports {

namespace {

// What a byte may end: bits of classes_.
constexpr std::uint8_t ends_plain = 1;  // delimiter, CR, LF
constexpr std::uint8_t ends_quoted = 2; // quote; and CR, LF for the line count

} // namespace

csv_reader::csv_reader(char delimiter, row_handler& handler) : handler_(&handler) {
    classes_[static_cast<unsigned char>(delimiter)] = ends_plain;
    classes_[static_cast<unsigned char>('\r')] = ends_plain | ends_quoted;
    classes_[static_cast<unsigned char>('\n')] = ends_plain | ends_quoted;
    classes_[static_cast<unsigned char>('"')] = ends_quoted;
}

void csv_reader::append(const char* from, const char* to) {
    const auto size = static_cast<std::size_t>(to - from);
    if (text_.size() - cell_begin_ + size <= cell_bytes_max && text_.size() + size <= row_bytes_max)
        text_.append(from, size);
    else
        too_long_ = true;
}

void csv_reader::end_cell() {
    if (ends_.size() < columns_max + 1)
        ends_.push_back(static_cast<std::uint32_t>(text_.size()));
    else
        too_long_ = true;
    cell_begin_ = text_.size();
    state_ = state::cell_start;
}

void csv_reader::end_row(char terminator) {
    end_cell();
    const bool more = handler_->on_row(csv_row(text_.data(), ends_, row_line_, too_long_));
    text_.clear();
    ends_.clear();
    cell_begin_ = 0;
    too_long_ = false;
    ++line_;
    if (!more)
        state_ = state::stopped;
    else
        state_ = terminator == '\r' ? state::after_return : state::row_start;
}

const char* csv_reader::read_plain(const char* p, const char* end) {
    const char* stop = p;
    while (stop != end && (classes_[static_cast<unsigned char>(*stop)] & ends_plain) == 0)
        ++stop;
    append(p, stop);
    if (stop == end)
        return end;
    if (*stop == '\r' || *stop == '\n')
        end_row(*stop);
    else
        end_cell();
    return stop + 1;
}

const char* csv_reader::read_quoted(const char* p, const char* end) {
    const char* stop = p;
    while (stop != end && (classes_[static_cast<unsigned char>(*stop)] & ends_quoted) == 0)
        ++stop;
    if (stop != p) {
        append(p, stop);
        return_in_quotes_ = false;
    }
    if (stop == end)
        return end;
    if (*stop == '"') {
        return_in_quotes_ = false;
        state_ = state::quote_seen;
        return stop + 1;
    }
    append(stop, stop + 1);
    if (*stop == '\r' || !return_in_quotes_)
        ++line_;
    return_in_quotes_ = *stop == '\r';
    return stop + 1;
}

void csv_reader::feed(std::string_view piece) {
    const char* p = piece.data();
    const char* const end = p + piece.size();
    while (p != end) {
        switch (state_) {
        case state::after_return:
            state_ = state::row_start;
            if (*p == '\n')
                ++p;
            break;
        case state::row_start:
            if (*p == '\n' || *p == '\r') {
                ++line_;
                state_ = *p == '\r' ? state::after_return : state::row_start;
                ++p;
                break;
            }
            row_line_ = line_;
            [[fallthrough]];
        case state::cell_start:
            if (*p == '"') {
                quote_line_ = line_;
                return_in_quotes_ = false;
                state_ = state::quoted;
                ++p;
                break;
            }
            state_ = state::plain;
            [[fallthrough]];
        case state::plain: p = read_plain(p, end); break;
        case state::quoted: p = read_quoted(p, end); break;
        case state::quote_seen:
            if (*p == '"') {
                append(p, p + 1);
                state_ = state::quoted;
                ++p;
            } else {
                state_ = state::plain;
            }
            break;
        case state::stopped: return;
        }
    }
}

bool csv_reader::finish() {
    switch (state_) {
    case state::quoted: return false;
    case state::cell_start:
    case state::plain:
    case state::quote_seen: end_row('\n'); break;
    case state::row_start:
    case state::after_return:
    case state::stopped: break;
    }
    return true;
}

} // namespace showcase::reports
