// The job store that the URLs of a queue's options name.
#pragma once

#include <memory>

#include "jobs/job_store.hpp"
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/jobs/registry.hpp>

namespace carillon::jobs {

// Of a queue with a broker. errc::invalid for a URL that is malformed, or results that the broker cannot carry. Does not
// wait for the broker. The registry and the log outlive the store, the counters too, unless they are null.
result<std::shared_ptr<job_store>> open_broker_store(const job_queue_options& options,
                                                     const job_registry& registry, logger& log,
                                                     metrics* counted);

// What `results` stands for when it is empty.
std::string results_for(const job_queue_options& options);

} // namespace carillon::jobs
