#include "interop/carillon_site/jobs.hpp"

#include <unistd.h>

#include <carillon/base/error.hpp>

namespace cr = carillon;

namespace interop {

namespace {

// Tells every job that it handled to the group `job_results`.
class job_runner final : public cr::background_consumer {
public:
    static cr::background_handlers events() {
        return {cr::on_background("job.run", &job_runner::run)};
    }

private:
    void run(const cr::event& e) {
        layer()
            .group_send(
                "job_results",
                cr::event("probe.event", {{"id", e["id"]}, {"by", "carillon"}, {"pid", getpid()}}))
            .value();
    }
};

} // namespace

cr::background_routes job_routes() { return {cr::background<job_runner>("jobs")}; }

} // namespace interop
