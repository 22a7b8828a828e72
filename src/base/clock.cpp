#include <carillon/base/clock.hpp>

#include <charconv>

#include <fmt/format.h>

namespace carillon {

namespace {

// Exactly `digits` decimal digits at the front of `text`, which is cut.
std::optional<int> take_number(std::string_view& text, std::size_t digits) noexcept {
    if (text.size() < digits)
        return {};
    int number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + digits, number);
    if (problem != std::errc{} || end != text.data() + digits || text[0] == '-')
        return {};
    text.remove_prefix(digits);
    return number;
}

bool take(std::string_view& text, char c) noexcept {
    if (text.empty() || text[0] != c)
        return false;
    text.remove_prefix(1);
    return true;
}

std::chrono::microseconds take_fraction(std::string_view& text) noexcept {
    std::int64_t micros = 0;
    std::int64_t unit = 100'000;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
        micros += (text[0] - '0') * unit;
        unit /= 10;
        text.remove_prefix(1);
    }
    return std::chrono::microseconds(micros);
}

std::optional<std::chrono::minutes> take_offset(std::string_view& text) noexcept {
    if (text.empty() || take(text, 'Z'))
        return std::chrono::minutes(0);
    const int sign = text[0] == '-' ? -1 : 1;
    if (!take(text, '+') && !take(text, '-'))
        return {};
    const auto hours = take_number(text, 2);
    take(text, ':');
    const auto minutes = take_number(text, 2);
    if (!hours || !minutes || *hours > 23 || *minutes > 59)
        return {};
    return std::chrono::minutes(sign * (*hours * 60 + *minutes));
}

} // namespace

std::string to_iso8601(utc_time when) {
    const auto day = std::chrono::floor<std::chrono::days>(when);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(when - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::optional<utc_time> from_iso8601(std::string_view text) noexcept {
    const auto year = take_number(text, 4);
    if (!year || !take(text, '-'))
        return {};
    const auto month = take_number(text, 2);
    if (!month || !take(text, '-'))
        return {};
    const auto day = take_number(text, 2);
    if (!day || !(take(text, 'T') || take(text, ' ')))
        return {};
    const auto hour = take_number(text, 2);
    if (!hour || !take(text, ':'))
        return {};
    const auto minute = take_number(text, 2);
    if (!minute)
        return {};
    const auto second = take(text, ':') ? take_number(text, 2) : std::optional(0);
    if (!second || *hour > 23 || *minute > 59 || *second > 60)
        return {};
    const auto fraction = take(text, '.') ? take_fraction(text) : std::chrono::microseconds(0);
    const auto offset = take_offset(text);
    const std::chrono::year_month_day date(std::chrono::year(*year),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day)));
    if (!offset || !text.empty() || !date.ok())
        return {};
    return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
           std::chrono::seconds(*second) + fraction - *offset;
}

} // namespace carillon
