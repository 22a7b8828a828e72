// The consumer of /ws/reports/<job_id>/: the present state at once, then every change.
#pragma once

#include "reports/report_store.hpp"
#include <carillon/web/consumer.hpp>

namespace showcase::reports {

class report_progress final : public carillon::consumer {
public:
    explicit report_progress(report_store& store) : store_(store) {}
    static carillon::event_handlers events();

private:
    carillon::task<> on_connect(const carillon::scope& asked) override;
    void progress_update(const carillon::event& e);
    carillon::task<> show_state(carillon::event gap);
    void show(const report_job& job);

    report_store& store_;
    std::string job_id_;
    std::int64_t attempt_ = 0;
    std::int64_t progress_ = 0;
};

} // namespace showcase::reports
