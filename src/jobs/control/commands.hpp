// The commands of remote control: what each does to a worker, and what it answers.
#pragma once

#include <optional>
#include <string>

#include <carillon/base/log.hpp>
#include <carillon/base/value.hpp>

#include "jobs/control/event_sender.hpp"
#include "jobs/control/lamport_clock.hpp"
#include "jobs/control/newest_ids.hpp"
#include "jobs/control/worker_view.hpp"

namespace carillon::jobs {

// What commands work on.
struct command_context {
    const std::string& node;
    worker_view& worker;
    lamport_clock& clock;
    event_sender& events;
    newest_ids& revoked;
    logger& log;
    std::size_t listed_max;
};

// The answer; nothing where the command gives none (shutdown). A command that is unknown here answers what Celery's
// workers answer. Arguments of a wrong kind are an answer with "error". One thread at a time.
std::optional<value> run_command(const command_context& context, const std::string& method,
                                 const object& arguments);

} // namespace carillon::jobs
