// Workers of the program as nodes that Celery's tools and Flower see.
#pragma once

#include <functional>
#include <memory>

#include "app/runtime.hpp"
#include "jobs/worker_node.hpp"

namespace carillon::app {

// Null where the queue is in the data folder. `parts` and `pool` outlive it; to be ended after the pool was stopped.
// `shutdown` as in worker_node_options.
std::unique_ptr<jobs::worker_node> attach_node(const application& site, runtime& parts,
                                               worker_pool& pool, bool task_events,
                                               std::function<void()> shutdown);

} // namespace carillon::app
