// Celery's crontab: five fields of text, and the next time at which all of them match.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>

#include "wire/time_zone.hpp"

namespace carillon::wire::celery {

// Each field is a list with commas of `*`, a value, or a range, the first and the last with an optional step: `*/15`,
// `8-17/2`, `1,15,20-25`. A range may wrap: `fri-mon`, `22-4`. Names of days and months have three letters or all, in
// any case. Days of the week begin with Sunday, 0; 7 is Sunday, too.
struct crontab_fields {
    std::string minute = "*";        // 0..59
    std::string hour = "*";          // 0..23
    std::string day_of_week = "*";   // 0..7
    std::string day_of_month = "*";  // 1..31
    std::string month_of_year = "*"; // 1..12
};
inline constexpr std::size_t field_chars_max = 512;

// Immutable; any number of threads may use one.
class crontab {
public:
    // errc::invalid that names the field and what is wrong with it.
    static result<crontab> parse(const crontab_fields& fields);
    // The five fields in cron's order, minute, hour, day of the month, month, day of the week, with spaces between.
    static result<crontab> parse(std::string_view line);

    // The first moment after `after` at which every field matches; unlike in cron, both days have to match, as in
    // Celery. Nothing where there is none within fifty years (30 February).
    // Where clocks are put forward, a time that is left out is due at the moment of the change. Where they are put
    // back, a time that comes twice is due the first time, and both times where the schedule names every hour.
    std::optional<utc_time> next(utc_time after, const time_zone& zone) const;

private:
    bool is_day(const wall_time& day) const noexcept;
    std::optional<wall_time> next_match(wall_time from) const noexcept;
    std::uint64_t minutes_ = 0;
    std::uint32_t hours_ = 0, days_of_month_ = 0, months_ = 0, days_of_week_ = 0;
};

} // namespace carillon::wire::celery
