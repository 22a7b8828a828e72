// Dates of HTTP (RFC 9110 section 5.6.7): one form written, three read.
#include <algorithm>
#include <array>
#include <chrono>

#include "wire/http/response.hpp"

namespace carillon::wire::http {

namespace {

namespace chrono = std::chrono;

constexpr std::array<std::string_view, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> long_days = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void append_number(std::string& out, int number, int digits) {
    const auto text = std::to_string(number);
    out.append(static_cast<std::size_t>(std::max(0, digits - static_cast<int>(text.size()))), '0');
    out += text;
}

// Reads a date from its front; after a mismatch everything fails.
class date_reader {
public:
    explicit date_reader(std::string_view text) noexcept : rest_(text) {}

    void literal(std::string_view expected) noexcept {
        if (!rest_.starts_with(expected))
            return fail();
        rest_.remove_prefix(expected.size());
    }
    // `digits` digits; with `padded`, the first may be a space.
    int number(std::size_t digits, bool padded = false) noexcept {
        if (rest_.size() < digits) {
            fail();
            return 0;
        }
        int n = 0;
        for (std::size_t i = 0; i < digits; ++i) {
            const char c = rest_[i];
            if (c >= '0' && c <= '9') {
                n = n * 10 + (c - '0');
            } else if (!(padded && i == 0 && c == ' ')) {
                fail();
                return 0;
            }
        }
        rest_.remove_prefix(digits);
        return n;
    }
    template <std::size_t N>
    int one_of(const std::array<std::string_view, N>& names) noexcept {
        for (std::size_t i = 0; i < N; ++i) {
            if (rest_.starts_with(names[i])) {
                rest_.remove_prefix(names[i].size());
                return static_cast<int>(i);
            }
        }
        fail();
        return 0;
    }
    bool finished() const noexcept { return sound_ && rest_.empty(); }

private:
    void fail() noexcept {
        sound_ = false;
        rest_ = {};
    }
    std::string_view rest_;
    bool sound_ = true;
};

struct civil {
    int year = 0;
    int month = 0; // 0 to 11
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
};

void read_time(date_reader& r, civil& t) {
    t.hour = r.number(2);
    r.literal(":");
    t.minute = r.number(2);
    r.literal(":");
    t.second = r.number(2);
}

bool read_fixdate(std::string_view text, civil& t) {
    date_reader r(text);
    r.one_of(days);
    r.literal(", ");
    t.day = r.number(2);
    r.literal(" ");
    t.month = r.one_of(months);
    r.literal(" ");
    t.year = r.number(4);
    r.literal(" ");
    read_time(r, t);
    r.literal(" GMT");
    return r.finished();
}

bool read_rfc850(std::string_view text, civil& t) {
    date_reader r(text);
    r.one_of(long_days);
    r.literal(", ");
    t.day = r.number(2);
    r.literal("-");
    t.month = r.one_of(months);
    r.literal("-");
    t.year = r.number(2);
    t.year += t.year < 70 ? 2000 : 1900; // such dates are of Unix time, which begins in 1970
    r.literal(" ");
    read_time(r, t);
    r.literal(" GMT");
    return r.finished();
}

bool read_asctime(std::string_view text, civil& t) {
    date_reader r(text);
    r.one_of(days);
    r.literal(" ");
    t.month = r.one_of(months);
    r.literal(" ");
    t.day = r.number(2, true);
    r.literal(" ");
    read_time(r, t);
    r.literal(" ");
    t.year = r.number(4);
    return r.finished();
}

} // namespace

std::string http_date(std::int64_t unix_seconds) {
    const chrono::sys_seconds moment{chrono::seconds(unix_seconds)};
    const auto day = chrono::floor<chrono::days>(moment);
    const chrono::year_month_day date(day);
    const chrono::hh_mm_ss time(moment - day);
    std::string out(days[chrono::weekday(day).c_encoding()]);
    out += ", ";
    append_number(out, static_cast<int>(static_cast<unsigned>(date.day())), 2);
    out += ' ';
    out += months[static_cast<unsigned>(date.month()) - 1];
    out += ' ';
    append_number(out, static_cast<int>(date.year()), 4);
    out += ' ';
    append_number(out, static_cast<int>(time.hours().count()), 2);
    out += ':';
    append_number(out, static_cast<int>(time.minutes().count()), 2);
    out += ':';
    append_number(out, static_cast<int>(time.seconds().count()), 2);
    return out += " GMT";
}

std::optional<std::int64_t> parse_http_date(std::string_view text) noexcept {
    civil t;
    if (!read_fixdate(text, t) && !read_rfc850(text, t) && !read_asctime(text, t))
        return std::nullopt;
    const chrono::year_month_day date{chrono::year(t.year),
                                      chrono::month(static_cast<unsigned>(t.month) + 1),
                                      chrono::day(static_cast<unsigned>(t.day))};
    if (!date.ok() || t.hour > 23 || t.minute > 59 || t.second > 60) // 60: a leap second
        return std::nullopt;
    const auto day = chrono::sys_days(date).time_since_epoch();
    return chrono::seconds(day).count() + t.hour * 3600 + t.minute * 60 + t.second;
}

} // namespace carillon::wire::http
