// The tasks of the recorded messages of Celery, so that a worker of Carillon can run them unchanged.
#pragma once

#include <carillon/jobs/registry.hpp>

namespace interop {

// vapp.add(x, y), vapp.tsum(numbers), vapp.fail(msg), vapp.retry_me(n), vapp.progress(), vapp.sleepy(seconds),
// vapp.onerr(id): as `about.tasks` of the vectors says.
void register_vector_jobs(carillon::job_registry& registry);

} // namespace interop
