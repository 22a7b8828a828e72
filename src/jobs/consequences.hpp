// What follows from the end of a job: the calls that it makes, the later steps that it takes with it, its part of a
// chord. The same for every store; nothing here stores or sends.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "jobs/job_store.hpp"
#include "wire/celery/signature.hpp"
#include <carillon/base/log.hpp>

namespace carillon::jobs {

// SUCCESS, FAILURE, REVOKED or RETRY.
std::string_view status_of(end_state state) noexcept;
// The result, or the exception.
value outcome_of(const run_end& end);

struct consequences {
    // On success the callbacks and the next step of the chain, on failure the errbacks.
    std::optional<wire::celery::plan> calls;
    // These end as the job did.
    std::vector<wire::celery::abandoned_step> abandoned;
    std::optional<wire::celery::chord_part> part;

    bool none() const noexcept { return !calls && abandoned.empty() && !part; }
};

// None for a retried job, and for one whose message cannot be read. What is malformed in the message is logged and left
// out: the job itself has ended.
// `with` is asked only where something is sent.
consequences consequences_of(const run_end& end, const std::function<wire::celery::sending()>& with,
                             logger& log);

// A message that stands for a step that was never sent, with the chord whose member it was.
wire::celery::message stand_in(const wire::celery::abandoned_step& step,
                               const wire::celery::message& before);

} // namespace carillon::jobs
