#include "wire/time_zone.hpp"

#include <algorithm>

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

namespace carillon::wire {

namespace {

constexpr std::size_t name_chars_max = 64;

// The name becomes a part of a path.
bool can_be_a_zone(std::string_view name) noexcept {
    if (name.empty() || name.size() > name_chars_max || name.front() == '/' ||
        name.find("..") != std::string_view::npos)
        return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '+' || c == '/';
    });
}

using seconds_point = cctz::time_point<cctz::seconds>;

seconds_point to_seconds(utc_time when) {
    return seconds_point(
        cctz::seconds(std::chrono::floor<std::chrono::seconds>(when).time_since_epoch().count()));
}

utc_time to_utc(seconds_point when) {
    return utc_time(std::chrono::seconds(when.time_since_epoch().count()));
}

} // namespace

struct time_zone::impl {
    cctz::time_zone zone;
};

time_zone::time_zone() : held_(std::make_shared<const impl>(impl{cctz::utc_time_zone()})) {}

result<time_zone> time_zone::named(std::string_view name) {
    if (!can_be_a_zone(name))
        return failure{errc::invalid, "that cannot be the name of a time zone"};
    cctz::time_zone zone;
    if (!cctz::load_time_zone(std::string(name), &zone))
        return failure{errc::not_found,
                       "the time zone " + std::string(name) + " is not known to this system"};
    return time_zone(std::make_shared<const impl>(impl{zone}));
}

std::string time_zone::name() const { return held_->zone.name(); }

wall_time time_zone::at(utc_time when) const {
    const auto shown = held_->zone.lookup(to_seconds(when)).cs;
    return {static_cast<int>(shown.year()), shown.month(), shown.day(), shown.hour(),
            shown.minute()};
}

time_zone::moments time_zone::when(const wall_time& shown) const {
    const auto found = held_->zone.lookup(
        cctz::civil_second(shown.year, shown.month, shown.day, shown.hour, shown.minute));
    moments m;
    switch (found.kind) {
    case cctz::time_zone::civil_lookup::UNIQUE: m.first = m.second = to_utc(found.pre); break;
    case cctz::time_zone::civil_lookup::SKIPPED:
        m.how = moments::kind::never;
        m.first = m.second = to_utc(found.trans);
        break;
    case cctz::time_zone::civil_lookup::REPEATED:
        m.how = moments::kind::twice;
        m.first = to_utc(found.pre);
        m.second = to_utc(found.post);
        break;
    }
    return m;
}

std::optional<utc_time> time_zone::next_change(utc_time after) const {
    cctz::time_zone::civil_transition change;
    if (!held_->zone.next_transition(to_seconds(after), &change))
        return {};
    return to_utc(held_->zone.lookup(change.to).trans);
}

} // namespace carillon::wire
