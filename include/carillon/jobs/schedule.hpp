// Schedules: jobs that `beat` enqueues again and again, at intervals or by the clock on a wall.
//
//     void register_schedules(cr::timetable& beat, cr::services&) override {
//         beat.every("tidy", 10min, "reports.tidy");
//         beat.cron("nightly", "30 2 * * mon-fri", "Europe/Oslo", "reports.build", cr::object{{"kind", "all"}});
//     }
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/job.hpp>
#include <carillon/jobs/queue.hpp>

namespace carillon {

// When a job is due. Immutable and cheap to copy; any number of threads may use one.
class job_schedule {
public:
    // At every whole multiple of the interval since 1970, UTC: so every beat on every machine means the same moments.
    // errc::invalid below a tenth of a second and above ten years.
    static result<job_schedule> every(std::chrono::milliseconds interval);
    // "minute hour day-of-month month day-of-week", each `*`, a value, a range or a list, with steps, as Celery's
    // crontab: where both days are given, both have to match. `zone` is a name of the time zone database. Where clocks
    // are put forward, a time that is left out is due at the change; where they are put back, a time that comes twice
    // is due once, unless the schedule names every hour. errc::invalid, errc::not_found for an unknown zone.
    static result<job_schedule> cron(std::string_view line, std::string_view zone = "UTC");

    // The first moment after `after`; nothing where there is none within fifty years.
    std::optional<utc_time> next(utc_time after) const;
    // The last moment after `after` and not after `until`; nothing where there is none.
    std::optional<utc_time> last(utc_time after, utc_time until) const;
    // For people: "every 10 s", "30 2 * * mon-fri Europe/Oslo".
    const std::string& text() const noexcept;
    // A moment for people, as clocks show it in the zone of the schedule: "2026-11-20 02:30 Europe/Oslo". Intervals of
    // less than a minute show seconds: "2026-11-20 01:30:10 UTC".
    std::string shown(utc_time moment) const;

private:
    struct impl;
    explicit job_schedule(std::shared_ptr<const impl> held);
    std::shared_ptr<const impl> held_;
};

// One job that comes again and again.
struct schedule_entry {
    // Unique among the entries of an application, and what its past is remembered by: 1 to 200 bytes.
    std::string name;
    std::string task;
    job_schedule when;
    job_arguments arguments = {};
    // Its id, countdown, eta and expires are left as they are: each job has the id "name@moment".
    enqueue_options options = {};
    // A job that has not begun by then is cancelled; zero: never.
    std::chrono::milliseconds expires_after{0};
};

// The schedules of an application, one line for each. Not thread-safe.
class timetable {
public:
    // Both throw carillon::error, which names the entry, for a schedule that job_schedule refuses.
    timetable& every(std::string name, std::chrono::milliseconds interval, std::string task,
                     job_arguments arguments = {}, enqueue_options options = {});
    timetable& cron(std::string name, std::string_view line, std::string_view zone,
                    std::string task, job_arguments arguments = {}, enqueue_options options = {});
    timetable& add(schedule_entry entry);
    const std::vector<schedule_entry>& entries() const noexcept { return entries_; }

private:
    std::vector<schedule_entry> entries_;
};

} // namespace carillon
