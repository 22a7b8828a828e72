// The store of a queue that is in a message broker, from the options of the queue.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "jobs/broker_store.hpp"
#include <carillon/jobs/queue.hpp>

namespace carillon::jobs {

// Where results go when nobody says: the broker itself where it is Redis, else "rpc://".
std::string usual_results(std::string_view broker_url);

// Starts to connect. errc::invalid for a malformed URL of the broker or of the results, without its password.
result<std::shared_ptr<broker_store>> open_broker_store(const job_queue_options& options,
                                                        const job_services& services);

} // namespace carillon::jobs
