#include "reports/report_progress.hpp"

#include <carillon/net/waits.hpp>

namespace cr = carillon;

namespace showcase::reports {

cr::event_handlers report_progress::events() {
    return {cr::on("progress_update", &report_progress::progress_update),
            cr::on(cr::gap_event_type, &report_progress::show_state)};
}

// Joined before the state is read, so that no change falls in between; what was queued meanwhile may be older than the
// state, and progress_update() drops it.
cr::task<> report_progress::on_connect(const cr::scope& asked) {
    job_id_ = asked.kwarg("job_id");
    const auto group = "report_" + job_id_;
    if (!cr::is_group_name(group)) {
        close(cr::close_code::no_such_object, "there is no report with this id");
        co_return;
    }
    co_await join(group);
    auto reading = cr::blocking([&] { return store_.find(job_id_); });
    const auto job = co_await reading;
    if (!job) {
        close(cr::close_code::no_such_object, "there is no report with this id");
        co_return;
    }
    accept();
    show(*job);
}

void report_progress::show(const report_job& job) {
    attempt_ = job.attempt;
    progress_ = job.progress;
    cr::object state;
    state.set("progress", job.progress);
    state.set("status", job.status);
    state.set("message", job.message);
    send_json(state);
}

// Events may have been lost: the page gets the present state, as at the beginning.
cr::task<> report_progress::show_state(cr::event) {
    auto reading = cr::blocking([&] { return store_.find(job_id_); });
    if (const auto job = co_await reading)
        show(*job);
}

void report_progress::progress_update(const cr::event& e) {
    static constexpr auto shown = cr::only("progress", "status", "message");
    // Events of other senders (a Python task, the command line) carry no attempt: they are taken as they come.
    if (const auto attempt = e["attempt"].to_int(0); attempt > 0) {
        const auto progress = e["progress"].to_int();
        if (attempt < attempt_ || (attempt == attempt_ && progress < progress_))
            return;
        attempt_ = attempt;
        progress_ = progress;
    }
    send(e, shown);
}

} // namespace showcase::reports
