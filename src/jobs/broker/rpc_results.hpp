// rpc_results: results that travel through the broker to whoever sent the task, and are kept nowhere.
#pragma once

#include <memory>

#include "jobs/broker/result_store.hpp"

namespace carillon::jobs {

// Knows the results of the ids that are watched, from their watch() to their forget().
std::unique_ptr<result_store> make_rpc_results(const result_options& options, broker& through,
                                               logger& log);
// Keeps nothing, and knows nothing. For the URL `none:`.
std::unique_ptr<result_store> make_no_results();

} // namespace carillon::jobs
