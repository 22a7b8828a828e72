#include "reports/column_profile.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "reports/limits.hpp"

namespace showcase::reports {

using carillon::value;

namespace {

bool is_numeric(cell_kind kind) noexcept {
    return kind == cell_kind::integer || kind == cell_kind::number;
}

bool is_date(cell_kind kind) noexcept {
    return kind == cell_kind::date || kind == cell_kind::datetime;
}

// The first eight bytes as a number that orders as they do.
std::uint64_t prefix_of(std::string_view text) noexcept {
    std::uint64_t word = 0;
    if (text.size() >= 8)
        std::memcpy(&word, text.data(), 8);
    else
        std::memcpy(&word, text.data(), text.size());
    if constexpr (std::endian::native == std::endian::little)
        word = __builtin_bswap64(word);
    return word;
}

// Cut at a character's border, with an ellipsis, when it is longer than what is shown.
std::string shown(std::string_view text) {
    if (text.size() <= shown_text_bytes_max)
        return std::string(text);
    std::size_t end = shown_text_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
        --end;
    return std::string(text.substr(0, end)) + "…";
}

// A number of a column as its type shows it.
value shown_number(double number, const cell_tally& tally) {
    switch (tally.type()) {
    case cell_kind::date: return format_date(number);
    case cell_kind::datetime: return format_datetime(number, tally.all_have_zone());
    default: return number;
    }
}

// A day that is the result of arithmetic may fall between two midnights.
value shown_average(double number, const cell_tally& tally) {
    if (tally.type() == cell_kind::date && number != std::floor(number))
        return format_datetime(number, false);
    return shown_number(number, tally);
}

double bin_width_min(cell_kind type) noexcept {
    return type == cell_kind::integer || type == cell_kind::date ? 1.0 : 0.0;
}

void fill_figures(column_report& out, const number_figures& figures, const cell_tally& tally) {
    if (tally.type() == cell_kind::integer) {
        out.min = tally.integer_min();
        out.max = tally.integer_max();
    } else {
        out.min = shown_number(figures.min, tally);
        out.max = shown_number(figures.max, tally);
    }
    out.mean = shown_average(figures.mean, tally);
    out.stddev = figures.deviation;
    out.q1 = shown_average(figures.q1, tally);
    out.median = shown_average(figures.median, tally);
    out.q3 = shown_average(figures.q3, tally);
    for (const auto& bin : figures.histogram)
        out.histogram.push_back(
            {shown_number(bin.from, tally), shown_number(bin.to, tally), bin.count});
}

} // namespace

sketch_sizes sketch_sizes::for_columns(std::size_t columns) noexcept {
    const std::size_t share = frequent_values_total / std::max<std::size_t>(columns, 1);
    return {std::min(share, frequent_values_max),
            columns <= narrow_columns_max ? distinct_bits_narrow : distinct_bits_wide};
}

void cell_tally::widen_text_range(std::string_view text) {
    const std::uint64_t prefix = prefix_of(text);
    const std::string_view kept = text.substr(0, kept_text_bytes_max);
    if (!has_text_ || prefix < min_prefix_ || (prefix == min_prefix_ && kept < text_min_)) {
        text_min_ = kept;
        min_prefix_ = prefix;
    }
    if (!has_text_ || prefix > max_prefix_ || (prefix == max_prefix_ && kept > text_max_)) {
        text_max_ = kept;
        max_prefix_ = prefix;
    }
    has_text_ = true;
}

void cell_tally::add(const cell& c, std::string_view text, std::uint64_t count) {
    counts_[static_cast<std::size_t>(c.kind)] += count;
    if (c.kind == cell_kind::missing)
        return;
    widen_text_range(text);
    if (c.kind == cell_kind::integer) {
        integer_min_ = std::min(integer_min_, c.integer);
        integer_max_ = std::max(integer_max_, c.integer);
    }
    if (c.has_zone)
        zoned_ += count;
}

std::uint64_t cell_tally::present() const noexcept {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0}) -
           of(cell_kind::missing);
}

cell_kind cell_tally::type() const noexcept {
    const std::uint64_t all = present();
    if (all == 0)
        return cell_kind::text;
    for (const cell_kind kind : {cell_kind::integer, cell_kind::boolean, cell_kind::date})
        if (of(kind) == all)
            return kind;
    if (of(cell_kind::integer) + of(cell_kind::number) == all)
        return cell_kind::number;
    if (of(cell_kind::date) + of(cell_kind::datetime) == all)
        return cell_kind::datetime;
    return cell_kind::text;
}

struct column_profile::sketches {
    explicit sketches(sketch_sizes sizes) : distinct(sizes.distinct_bits) {}
    distinct_sketch distinct;
    // Each exists from the first cell of its kind on.
    std::unique_ptr<number_summary> numbers;
    std::unique_ptr<number_summary> dates;
    std::unique_ptr<frequent_values> frequent;
};

column_profile::column_profile(std::string name, sketch_sizes sizes, memory_budget& budget)
    : name_(std::move(name)), sizes_(sizes), table_(std::make_unique<value_table>(budget)) {}
column_profile::~column_profile() = default;
column_profile::column_profile(column_profile&&) noexcept = default;

void column_profile::add(std::string_view text) {
    if (text.empty()) {
        ++empty_;
        return;
    }
    const std::uint64_t hash = hash_of(text);
    if (table_) {
        if (table_->add(text, hash))
            return;
        leave_exact_stage();
    }
    add_to_sketches(text, hash);
}

namespace {

// The values of a table, read once: numbers and dates in ascending order, everything in the tally.
struct table_content {
    std::vector<weighted> numbers;
    std::vector<weighted> dates;
};

table_content read_table(const value_table& table, cell_tally& tally) {
    table_content out;
    for (const auto& e : table.entries()) {
        const std::string_view text = table.text_of(e);
        const cell c = read_cell(text);
        tally.add(c, text, e.count);
        if (is_numeric(c.kind))
            out.numbers.push_back({c.number, e.count});
        else if (is_date(c.kind))
            out.dates.push_back({c.number, e.count});
    }
    const auto by_value = [](const weighted& a, const weighted& b) { return a.value < b.value; };
    std::sort(out.numbers.begin(), out.numbers.end(), by_value);
    std::sort(out.dates.begin(), out.dates.end(), by_value);
    return out;
}

// The entries that are values, the most frequent first; equal counts in the order of their texts.
std::vector<value_table::entry> by_frequency(const value_table& table) {
    std::vector<value_table::entry> out;
    for (const auto& e : table.entries())
        if (read_cell(table.text_of(e)).kind != cell_kind::missing)
            out.push_back(e);
    std::sort(out.begin(), out.end(), [&](const auto& a, const auto& b) {
        return a.count != b.count ? a.count > b.count : table.text_of(a) < table.text_of(b);
    });
    return out;
}

} // namespace

void column_profile::leave_exact_stage() {
    const auto table = std::move(table_);
    sketches_ = std::make_unique<sketches>(sizes_);
    sketches& s = *sketches_;
    const table_content content = read_table(*table, tally_);
    if (!content.numbers.empty()) {
        s.numbers = std::make_unique<number_summary>();
        s.numbers->add_sorted(content.numbers);
    }
    if (!content.dates.empty()) {
        s.dates = std::make_unique<number_summary>();
        s.dates->add_sorted(content.dates);
    }
    const auto entries = by_frequency(*table);
    for (const auto& e : entries)
        s.distinct.add(e.hash);
    if (tally_.of(cell_kind::text) + tally_.of(cell_kind::boolean) == 0)
        return;
    s.frequent = std::make_unique<frequent_values>(sizes_.frequent_values);
    const std::size_t kept = std::min(entries.size(), sizes_.frequent_values / 2);
    for (std::size_t i = 0; i < kept; ++i)
        s.frequent->add(table->text_of(entries[i]), entries[i].hash, entries[i].count);
    // What is left out here had at most this count each.
    if (kept < entries.size())
        s.frequent->passed_over(entries[kept].count);
}

void column_profile::add_to_sketches(std::string_view text, std::uint64_t hash) {
    const cell c = read_cell(text);
    sketches& s = *sketches_;
    if (c.kind != cell_kind::missing) {
        s.distinct.add(hash);
        count_frequent(s, c, text, hash);
    }
    tally_.add(c, text, 1);
    if (is_numeric(c.kind)) {
        if (!s.numbers)
            s.numbers = std::make_unique<number_summary>();
        s.numbers->add(c.number);
    } else if (is_date(c.kind)) {
        if (!s.dates)
            s.dates = std::make_unique<number_summary>();
        s.dates->add(c.number);
    }
}

// Frequencies matter to text columns alone: they are counted from the first text on, and what
// passed before widens their error.
void column_profile::count_frequent(sketches& s, const cell& c, std::string_view text,
                                    std::uint64_t hash) {
    if (!s.frequent) {
        if (c.kind != cell_kind::text && c.kind != cell_kind::boolean)
            return;
        s.frequent = std::make_unique<frequent_values>(sizes_.frequent_values);
        s.frequent->passed_over(tally_.present());
    }
    s.frequent->add(text, hash);
}

void column_profile::report_exact(column_report& out) {
    const table_content content = read_table(*table_, tally_);
    const auto entries = by_frequency(*table_);
    out.distinct = entries.size();
    for (std::size_t i = 0; i < std::min(entries.size(), top_values_max); ++i)
        out.top.push_back({shown(table_->text_of(entries[i])), entries[i].count});
    const cell_kind type = tally_.type();
    if (is_numeric(type))
        fill_figures(out, exact_figures(content.numbers, bin_width_min(type)), tally_);
    else if (is_date(type))
        fill_figures(out, exact_figures(content.dates, bin_width_min(type)), tally_);
}

void column_profile::report_estimates(column_report& out) {
    sketches& s = *sketches_;
    out.distinct =
        std::min(tally_.present(), static_cast<std::uint64_t>(std::llround(s.distinct.estimate())));
    out.distinct_is_exact = false;
    out.median_is_exact = false;
    out.top_is_exact = false;
    const cell_kind type = tally_.type();
    if (is_numeric(type) && s.numbers)
        fill_figures(out, s.numbers->figures(bin_width_min(type)), tally_);
    else if (is_date(type) && s.dates)
        fill_figures(out, s.dates->figures(bin_width_min(type)), tally_);
    else if (s.frequent) {
        out.top_error = s.frequent->error();
        // A count below the error says nothing: others that are not here may be as frequent.
        for (const auto& c : s.frequent->sorted())
            if (c.count > out.top_error && out.top.size() < top_values_max)
                out.top.push_back({shown(c.text), c.count});
    }
}

column_report column_profile::finish() {
    column_report out;
    out.name = name_;
    if (table_)
        report_exact(out);
    else
        report_estimates(out);
    out.type = tally_.type();
    out.count = tally_.present();
    out.missing = empty_ + tally_.of(cell_kind::missing);
    if (out.type == cell_kind::text && out.count > 0) {
        out.min = shown(tally_.text_min());
        out.max = shown(tally_.text_max());
    }
    return out;
}

} // namespace showcase::reports
