#include "reports/cell.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "reports/limits.hpp"

namespace showcase::reports {

namespace {

constexpr double seconds_per_day = 86'400;

bool is_digit(char c) noexcept { return static_cast<unsigned char>(c - '0') < 10; }

std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

bool is_missing_word(std::string_view t) noexcept {
    static constexpr std::array<std::string_view, 9> words{"NA",   "N/A",  "n/a", "#N/A", "NULL",
                                                           "null", "Null", "NaN", "nan"};
    return std::find(words.begin(), words.end(), t) != words.end() || t == "<NA>";
}

bool is_boolean_word(std::string_view t) noexcept {
    if (t.size() < 2 || t.size() > 5)
        return false;
    std::array<char, 5> lower{};
    std::transform(t.begin(), t.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const std::string_view word(lower.data(), t.size());
    return word == "true" || word == "false" || word == "yes" || word == "no";
}

// Takes exactly `digits` digits; -1 when there are none.
int take_digits(std::string_view& t, std::size_t digits) noexcept {
    if (t.size() < digits)
        return -1;
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        if (!is_digit(t[i]))
            return -1;
        value = value * 10 + (t[i] - '0');
    }
    t.remove_prefix(digits);
    return value;
}

bool take(std::string_view& t, char c) noexcept {
    if (t.empty() || t.front() != c)
        return false;
    t.remove_prefix(1);
    return true;
}

// Z, +01:00, +0100 or +01; minutes east of UTC. False when something else follows the time.
bool take_zone(std::string_view t, int& minutes) noexcept {
    minutes = 0;
    if (t == "Z" || t == "z")
        return true;
    if (t.empty() || (t.front() != '+' && t.front() != '-'))
        return false;
    const int sign = t.front() == '-' ? -1 : 1;
    t.remove_prefix(1);
    const int hour = take_digits(t, 2);
    int minute = 0;
    if (!t.empty()) {
        take(t, ':');
        minute = take_digits(t, 2);
    }
    minutes = sign * (hour * 60 + minute);
    return t.empty() && hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
}

// HH:MM[:SS[.fraction]][zone] as seconds after midnight UTC.
bool read_time(std::string_view t, double& seconds, bool& has_zone) noexcept {
    const int hour = take_digits(t, 2);
    if (!take(t, ':'))
        return false;
    const int minute = take_digits(t, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return false;
    seconds = hour * 3600 + minute * 60;
    if (take(t, ':')) {
        const int second = take_digits(t, 2);
        if (second < 0 || second > 60) // 60: a leap second
            return false;
        seconds += second;
        if (take(t, '.') || take(t, ',')) {
            if (t.empty() || !is_digit(t.front()))
                return false;
            double unit = 0.1;
            for (; !t.empty() && is_digit(t.front()); t.remove_prefix(1), unit /= 10)
                seconds += unit * (t.front() - '0');
        }
    }
    if (t.empty())
        return true;
    take(t, ' ');
    int minutes = 0;
    if (!take_zone(t, minutes))
        return false;
    has_zone = true;
    seconds -= minutes * 60;
    return true;
}

// YYYY-MM-DD or YYYY/MM/DD, then nothing or a T or a space and a time.
bool read_date(std::string_view t, cell& out) noexcept {
    const int year = take_digits(t, 4);
    const char separator = t.empty() ? '\0' : t.front();
    if (year < 1 || (separator != '-' && separator != '/'))
        return false;
    t.remove_prefix(1);
    const int month = take_digits(t, 2);
    if (!take(t, separator))
        return false;
    const int day = take_digits(t, 2);
    if (month < 0 || day < 0)
        return false;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok())
        return false;
    out.number = static_cast<double>(std::chrono::sys_days(date).time_since_epoch().count());
    out.kind = cell_kind::date;
    if (t.empty())
        return true;
    if (!take(t, 'T') && !take(t, 't') && !take(t, ' '))
        return false;
    double seconds = 0;
    if (!read_time(t, seconds, out.has_zone))
        return false;
    out.kind = cell_kind::datetime;
    out.number += seconds / seconds_per_day;
    return true;
}

// The shape of a decimal number, and its digits as one integer while they fit.
struct decimal {
    std::uint64_t digits_value = 0;
    int digits = 0; // without leading zeros
    int fraction = 0;
    bool negative = false;
    bool point = false;
    bool exponent = false;
    bool leading_zero = false; // as in 007: a code, not a number
};

bool scan_exponent(const char* p, const char* end) noexcept {
    if (p != end && (*p == '+' || *p == '-'))
        ++p;
    return p != end && std::all_of(p, end, is_digit);
}

bool scan_decimal(std::string_view t, decimal& out) noexcept {
    const char* p = t.data();
    const char* const end = p + t.size();
    out.negative = *p == '-';
    if (*p == '-' || *p == '+')
        ++p;
    const char* const first = p;
    int seen = 0;
    for (; p != end; ++p) {
        if (is_digit(*p)) {
            ++seen;
            if (out.digits > 0 || *p != '0')
                ++out.digits;
            out.digits_value = out.digits_value * 10 + static_cast<unsigned>(*p - '0');
            out.fraction += out.point ? 1 : 0;
        } else if (*p == '.' && !out.point) {
            out.point = true;
            out.leading_zero = p - first > 1 && *first == '0';
        } else {
            break;
        }
    }
    if (seen == 0)
        return false;
    if (!out.point)
        out.leading_zero = p - first > 1 && *first == '0';
    if (p == end)
        return true;
    out.exponent = *p == 'e' || *p == 'E';
    return out.exponent && scan_exponent(p + 1, end);
}

// The correctly rounded value. Too large for a double is no number; too small is zero.
bool convert(std::string_view t, const decimal& shape, double& out) noexcept {
    static constexpr std::array<double, 16> powers{1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (!shape.exponent && shape.digits <= 15 && shape.fraction <= 15) {
        // Both are exact as doubles, so one division rounds once.
        const double value = static_cast<double>(shape.digits_value) /
                             powers[static_cast<std::size_t>(shape.fraction)];
        out = shape.negative ? -value : value;
        return true;
    }
    if (t.front() == '+')
        t.remove_prefix(1);
    const auto [rest, code] = std::from_chars(t.data(), t.data() + t.size(), out);
    if (code == std::errc::result_out_of_range) {
        const std::size_t e = t.find_first_of("eE");
        out = 0;
        return e != std::string_view::npos && t[e + 1] == '-';
    }
    return code == std::errc() && rest == t.data() + t.size();
}

// Leaves `out` text when the cell is no number.
void read_number(std::string_view t, cell& out) noexcept {
    decimal shape;
    if (!scan_decimal(t, shape) || shape.leading_zero || !convert(t, shape, out.number))
        return;
    out.kind = cell_kind::number;
    if (shape.point || shape.exponent)
        return;
    if (shape.digits <= 18) {
        out.kind = cell_kind::integer;
        out.integer = static_cast<std::int64_t>(shape.digits_value);
        if (shape.negative)
            out.integer = -out.integer;
        return;
    }
    if (t.front() == '+')
        t.remove_prefix(1);
    if (std::from_chars(t.data(), t.data() + t.size(), out.integer).ec == std::errc())
        out.kind = cell_kind::integer;
}

} // namespace

cell read_cell(std::string_view text) noexcept {
    cell out;
    if (text.size() > shown_text_bytes_max)
        return out;
    const std::string_view t = trim(text);
    if (t.empty()) {
        out.kind = cell_kind::missing;
        return out;
    }
    const char c = t.front();
    if (is_digit(c) || c == '-' || c == '+' || c == '.') {
        if (t.size() >= 10 && (t[4] == '-' || t[4] == '/') && read_date(t, out))
            return out;
        cell number;
        read_number(t, number);
        return number;
    }
    if (t.size() <= 5) {
        if (t.size() <= 4 && is_missing_word(t))
            out.kind = cell_kind::missing;
        else if (is_boolean_word(t))
            out.kind = cell_kind::boolean;
    }
    return out;
}

std::string format_date(double days) {
    const std::chrono::sys_days when{std::chrono::days(static_cast<int>(std::floor(days)))};
    const std::chrono::year_month_day date{when};
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string format_datetime(double days, bool utc) {
    // A double holds days of this era to about a microsecond.
    const auto ms = static_cast<std::int64_t>(std::llround(days * seconds_per_day * 1000));
    const std::int64_t day_ms = 86'400'000;
    const std::int64_t day = ms >= 0 ? ms / day_ms : -((-ms + day_ms - 1) / day_ms);
    const std::int64_t rest = ms - day * day_ms;
    std::string out = fmt::format("{}T{:02}:{:02}:{:02}", format_date(static_cast<double>(day)),
                                  rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60);
    if (rest % 1000 != 0)
        out += fmt::format(".{:03}", rest % 1000);
    if (utc)
        out += 'Z';
    return out;
}

} // namespace showcase::reports
