// How long a failed job waits for its next try: Celery's formula, with full jitter.
#pragma once

#include <chrono>
#include <cstdint>

#include <carillon/jobs/registry.hpp>

namespace carillon::jobs {

// The wait before retry number `retries` + 1: min(retry_delay_max, retry_delay * 2^retries), of which jitter takes
// the part `random` (0 to 1; 1 is the whole).
std::chrono::milliseconds retry_wait(const job_options& options, std::int64_t retries,
                                     double random) noexcept;

} // namespace carillon::jobs
