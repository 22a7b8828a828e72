#include "wire/celery/schedule.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <vector>

#include <fmt/format.h>

namespace carillon::wire::celery {

namespace {

constexpr std::uint32_t every_hour = (1u << 24) - 1;
constexpr std::array<std::string_view, 7> days{"sunday",   "monday", "tuesday", "wednesday",
                                               "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 12> months{"january",   "february", "march",    "april",
                                                  "may",       "june",     "july",     "august",
                                                  "september", "october",  "november", "december"};

struct field {
    std::string_view name;
    int first, last;
};
constexpr field minute_field{"minute", 0, 59}, hour_field{"hour", 0, 23},
    week_field{"day_of_week", 0, 6}, day_field{"day_of_month", 1, 31},
    month_field{"month_of_year", 1, 12};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return out;
}

template <std::size_t N>
std::optional<int> named(const std::array<std::string_view, N>& names, std::string_view text) {
    const auto wanted = lower(text);
    for (std::size_t i = 0; i < N; ++i)
        if (wanted == names[i] || (wanted.size() == 3 && names[i].starts_with(wanted)))
            return static_cast<int>(i);
    return {};
}

std::optional<int> number(std::string_view text) noexcept {
    int n = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (problem != std::errc() || end != text.data() + text.size() || text.front() == '-')
        return {};
    return n;
}

std::optional<int> value_of(const field& f, std::string_view text) {
    if (text.empty())
        return {};
    auto n = number(text);
    if (!n && f.name == week_field.name)
        n = named(days, text);
    if (!n && f.name == month_field.name)
        if (const auto month = named(months, text))
            n = *month + 1;
    if (n && f.name == week_field.name && *n == 7)
        n = 0;
    return n && *n >= f.first && *n <= f.last ? n : std::nullopt;
}

failure refused(const field& f, std::string_view part) {
    return {errc::invalid, fmt::format("crontab: `{}` is no {} between {} and {}",
                                       part.substr(0, 40), f.name, f.first, f.last)};
}

result<std::uint64_t> parse_part(const field& f, std::string_view part) {
    auto range = part;
    int step = 1;
    if (const auto slash = part.find('/'); slash != std::string_view::npos) {
        range = part.substr(0, slash);
        const auto read = part.size() > slash + 1 ? number(part.substr(slash + 1)) : std::nullopt;
        if (!read || *read < 1)
            return failure{errc::invalid,
                           fmt::format("crontab: `{}` has no step", part.substr(0, 40))};
        step = *read;
    }
    auto from = std::optional(f.first), to = std::optional(f.last);
    const auto dash = range.find('-');
    if (range != "*") {
        // As in Celery, one value takes no step.
        if (dash == std::string_view::npos && range.size() != part.size())
            return refused(f, part);
        from = value_of(f, range.substr(0, dash));
        to = dash == std::string_view::npos ? from : value_of(f, range.substr(dash + 1));
    }
    if (!from || !to)
        return refused(f, part);
    const int count = f.last - f.first + 1;
    const int length = (*to - *from + count) % count + 1;
    std::uint64_t bits = 0;
    for (std::int64_t i = 0; i < length; i += step)
        bits |= std::uint64_t{1} << (f.first + (*from - f.first + i) % count);
    return bits;
}

result<std::uint64_t> parse_field(const field& f, std::string_view text) {
    if (text.size() > field_chars_max)
        return failure{errc::invalid, fmt::format("crontab: the field {} is too long", f.name)};
    std::uint64_t bits = 0;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto comma = std::min(text.find(',', begin), text.size());
        auto part = parse_part(f, text.substr(begin, comma - begin));
        if (!part)
            return part;
        bits |= *part;
        begin = comma + 1;
    }
    return bits;
}

bool has(std::uint64_t bits, int n) noexcept { return bits >> n & 1; }
// The smallest member that is not below n; 64 where there is none.
int from(std::uint64_t bits, int n) noexcept {
    return n > 63 ? 64 : std::countr_zero(bits >> n << n);
}

std::chrono::sys_days day_of(const wall_time& w) noexcept {
    return std::chrono::year(w.year) / std::chrono::month(static_cast<unsigned>(w.month)) /
           std::chrono::day(static_cast<unsigned>(w.day));
}

void next_day(wall_time& w) noexcept {
    const std::chrono::year_month_day date(day_of(w) + std::chrono::days(1));
    w = {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
         static_cast<int>(static_cast<unsigned>(date.day())), 0, 0};
}

void next_minute(wall_time& w) noexcept {
    if (++w.minute < 60)
        return;
    w.minute = 0;
    if (++w.hour == 24)
        next_day(w);
}

} // namespace

result<crontab> crontab::parse(const crontab_fields& fields) {
    crontab c;
    const auto into = [](const field& f, const std::string& text, auto& bits) -> result<void> {
        auto read = parse_field(f, text);
        if (!read)
            return read.error();
        bits = static_cast<std::remove_reference_t<decltype(bits)>>(*read);
        return {};
    };
    for (const auto& done :
         {into(minute_field, fields.minute, c.minutes_), into(hour_field, fields.hour, c.hours_),
          into(week_field, fields.day_of_week, c.days_of_week_),
          into(day_field, fields.day_of_month, c.days_of_month_),
          into(month_field, fields.month_of_year, c.months_)})
        if (!done)
            return done.error();
    return c;
}

result<crontab> crontab::parse(std::string_view line) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; (at = line.find_first_not_of(" \t", at)) != std::string_view::npos;) {
        const auto end = std::min(line.find_first_of(" \t", at), line.size());
        if (parts.size() == 5)
            return failure{errc::invalid, "crontab: more than five fields"};
        parts.emplace_back(line.substr(at, end - at));
        at = end;
    }
    if (parts.size() != 5)
        return failure{errc::invalid, "crontab: fewer than five fields"};
    crontab_fields fields;
    fields.minute = parts[0];
    fields.hour = parts[1];
    fields.day_of_month = parts[2];
    fields.month_of_year = parts[3];
    fields.day_of_week = parts[4];
    return parse(fields);
}

bool crontab::is_day(const wall_time& day) const noexcept {
    return has(months_, day.month) && has(days_of_month_, day.day) &&
           has(days_of_week_, static_cast<int>(std::chrono::weekday(day_of(day)).c_encoding()));
}

std::optional<wall_time> crontab::next_match(wall_time w) const noexcept {
    for (int days_tried = 0; days_tried < 50 * 366; ++days_tried, next_day(w)) {
        if (!is_day(w))
            continue;
        auto hour = from(hours_, w.hour);
        auto minute = from(minutes_, hour == w.hour ? w.minute : 0);
        if (minute > 59) {
            hour = from(hours_, hour + 1);
            minute = from(minutes_, 0);
        }
        if (hour > 23)
            continue;
        w.hour = hour;
        w.minute = minute;
        return w;
    }
    return {};
}

std::optional<utc_time> crontab::next(utc_time after, const time_zone& zone) const {
    const auto begin = std::chrono::floor<std::chrono::minutes>(after) + std::chrono::minutes(1);
    std::optional<utc_time> due;
    for (auto w = next_match(zone.at(begin)); w && !due;) {
        const auto m = zone.when(*w);
        if (m.first > after)
            due = m.first;
        else if (hours_ == every_hour && m.second > after)
            due = m.second;
        else {
            next_minute(*w);
            w = next_match(*w);
        }
    }
    if (!due || hours_ != every_hour)
        return due;
    // Clocks that are put back show the hour again, which the search on the wall has left behind.
    const auto change = zone.next_change(after);
    if (!change || *change >= *due)
        return due;
    if (const auto w = next_match(zone.at(*change)))
        if (const auto again = zone.when(*w).second; again > after && again < *due)
            due = again;
    return due;
}

} // namespace carillon::wire::celery
