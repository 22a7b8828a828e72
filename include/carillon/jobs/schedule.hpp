// Schedules: jobs that `beat` enqueues again and again, at intervals or by the clock on a wall.
//
//     schedule_entry nightly{.name = "nightly report", .task = "reports.build",
//                            .when = job_schedule::cron("30 2 * * mon-fri", "Europe/Oslo").value()};
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

} // namespace carillon
