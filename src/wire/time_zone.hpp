// Time zones of the IANA database, as the system has it: between points in time and what a clock on the wall shows.
#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>

namespace carillon::wire {

// What a clock on the wall shows, to the minute.
struct wall_time {
    int year = 1970;
    int month = 1; // 1..12
    int day = 1;   // 1..31
    int hour = 0, minute = 0;
    friend auto operator<=>(const wall_time&, const wall_time&) = default;
};

// Immutable and cheap to copy; any number of threads may use one. Rules and leap years are those of the database, and
// of its newest rule after the last year that it lists.
class time_zone {
public:
    // UTC.
    time_zone();
    // "UTC", "Europe/Oslo", … The one function that reads files: those of the package tzdata, once for each zone, kept
    // for the life of the process. errc::invalid for what cannot be a name of a zone, errc::not_found where the system
    // does not know it.
    static result<time_zone> named(std::string_view name);

    std::string name() const;
    // Seconds are cut off.
    wall_time at(utc_time when) const;

    // When the wall shows a time. It may never do so, when clocks are put forward, and do so twice, when they are put
    // back.
    struct moments {
        enum class kind : std::uint8_t { once, never, twice } how = kind::once;
        // Once and twice: the first time. Never: the moment at which clocks are put forward.
        utc_time first;
        utc_time second; // twice: the second time; else as first
    };
    // The time must exist in the calendar.
    moments when(const wall_time& shown) const;

    // The first moment after `after` at which clocks are put forward or back; nothing where there is none.
    std::optional<utc_time> next_change(utc_time after) const;

private:
    struct impl;
    explicit time_zone(std::shared_ptr<const impl> held) : held_(std::move(held)) {}
    std::shared_ptr<const impl> held_;
};

} // namespace carillon::wire
