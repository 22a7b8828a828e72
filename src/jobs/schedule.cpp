#include <algorithm>

#include <fmt/format.h>

#include <carillon/base/error.hpp>
#include <carillon/jobs/schedule.hpp>

#include "wire/celery/schedule.hpp"

namespace carillon {

namespace {

using std::chrono::microseconds;

constexpr std::chrono::milliseconds interval_min{100};
constexpr std::chrono::hours interval_max{10 * 366 * 24};

std::string interval_text(std::chrono::milliseconds interval) {
    if (interval.count() % 1'000 == 0)
        return fmt::format("every {} s", interval.count() / 1'000);
    return fmt::format("every {} ms", interval.count());
}

} // namespace

struct job_schedule::impl {
    std::string text;
    microseconds interval{}; // zero: the crontab
    std::optional<wire::celery::crontab> tab;
    wire::time_zone zone;
};

job_schedule::job_schedule(std::shared_ptr<const impl> held) : held_(std::move(held)) {}

result<job_schedule> job_schedule::every(std::chrono::milliseconds interval) {
    if (interval < interval_min || interval > interval_max)
        return failure{errc::invalid, "the interval of a schedule is 100 ms to ten years"};
    auto made = std::make_shared<impl>();
    made->text = interval_text(interval);
    made->interval = interval;
    return job_schedule(std::move(made));
}

result<job_schedule> job_schedule::cron(std::string_view line, std::string_view zone) {
    auto tab = wire::celery::crontab::parse(line);
    if (!tab)
        return tab.error();
    auto found = wire::time_zone::named(zone);
    if (!found)
        return found.error();
    auto made = std::make_shared<impl>();
    made->text = fmt::format("{} {}", line, zone);
    made->tab = *std::move(tab);
    made->zone = *std::move(found);
    return job_schedule(std::move(made));
}

std::optional<utc_time> job_schedule::next(utc_time after) const {
    if (held_->tab)
        return held_->tab->next(after, held_->zone);
    const auto since = after.time_since_epoch();
    auto count = since / held_->interval;
    if (since % held_->interval < microseconds(0))
        --count; // before 1970
    return utc_time((count + 1) * held_->interval);
}

// Looks back in growing steps: after a long absence there may be a great many moments, and only the last is wanted.
std::optional<utc_time> job_schedule::last(utc_time after, utc_time until) const {
    if (until <= after)
        return {};
    if (!held_->tab) {
        const auto due = *next(until) - held_->interval;
        return due > after ? std::optional(due) : std::nullopt;
    }
    using std::chrono::hours;
    for (const auto reach : {hours(1), hours(24), hours(31 * 24), hours(366 * 24)}) {
        const auto from = std::max(after, until - reach);
        auto due = next(from);
        if (due && *due <= until) {
            for (auto later = next(*due); later && *later <= until; later = next(*due))
                due = later;
            return due;
        }
        if (from == after)
            return {};
    }
    // 29 February on a Sunday and its like: too seldom to take long.
    std::optional<utc_time> due;
    for (auto found = next(after); found && *found <= until; found = next(*found))
        due = found;
    return due;
}

const std::string& job_schedule::text() const noexcept { return held_->text; }

std::string job_schedule::shown(utc_time moment) const {
    const auto wall = held_->zone.at(moment);
    auto text = fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", wall.year, wall.month, wall.day,
                            wall.hour, wall.minute);
    if (!held_->tab && held_->interval < std::chrono::minutes(1)) {
        const auto since = std::chrono::floor<std::chrono::seconds>(moment).time_since_epoch();
        text += fmt::format(":{:02}", (since.count() % 60 + 60) % 60);
    }
    return fmt::format("{} {}", text, held_->zone.name());
}

namespace {

schedule_entry entry_of(std::string name, const result<job_schedule>& when, std::string task,
                        job_arguments arguments, enqueue_options options) {
    if (!when)
        throw error(when.error().code,
                    fmt::format("schedule entry \"{}\": {}", name, when.error().message));
    return {std::move(name),      std::move(task),    *when,
            std::move(arguments), std::move(options), std::chrono::milliseconds(0)};
}

} // namespace

timetable& timetable::every(std::string name, std::chrono::milliseconds interval, std::string task,
                            job_arguments arguments, enqueue_options options) {
    return add(entry_of(std::move(name), job_schedule::every(interval), std::move(task),
                        std::move(arguments), std::move(options)));
}

timetable& timetable::cron(std::string name, std::string_view line, std::string_view zone,
                           std::string task, job_arguments arguments, enqueue_options options) {
    return add(entry_of(std::move(name), job_schedule::cron(line, zone), std::move(task),
                        std::move(arguments), std::move(options)));
}

timetable& timetable::add(schedule_entry entry) {
    entries_.push_back(std::move(entry));
    return *this;
}

} // namespace carillon
