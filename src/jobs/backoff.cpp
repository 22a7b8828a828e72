#include "jobs/backoff.hpp"

#include <algorithm>

namespace carillon::jobs {

std::chrono::milliseconds retry_wait(const job_options& options, std::int64_t retries,
                                     double random) noexcept {
    auto wait = options.retry_delay;
    for (std::int64_t i = 0; i < retries && wait < options.retry_delay_max; ++i)
        wait *= 2;
    wait = std::clamp(wait, std::chrono::milliseconds{0}, options.retry_delay_max);
    if (options.retry_jitter)
        wait = std::chrono::milliseconds(static_cast<std::int64_t>(
            static_cast<double>(wait.count()) * std::clamp(random, 0.0, 1.0)));
    return wait;
}

} // namespace carillon::jobs
