// worker_node: makes a worker pool whose queue is in a broker a node of remote control: it answers `celery inspect` and
// `celery control`, and tells monitors what it does.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/value.hpp>
#include <carillon/jobs/queue.hpp>
#include <carillon/jobs/worker_pool.hpp>

namespace carillon::jobs {

struct worker_node_options {
    std::string version;      // of the program, for monitors
    bool task_events = false; // from the start; monitors may ask for them later
    object conf;              // settings by Celery's names, without secrets
    // Called when somebody asks this node to end; must not block. Empty: it goes on, and says so in the log.
    std::function<void()> shutdown;
};

// The node has the pool's name.
class worker_node {
public:
    // Null where the queue is in the data folder: nobody can ask there. Queue, pool, log and metrics outlive the node; it
    // is ended after the pool has stopped, so that it can be asked what is still running.
    static std::unique_ptr<worker_node> attach(job_queue& queue, worker_pool& pool,
                                               worker_node_options options, logger& log,
                                               metrics& counted);
    ~worker_node();

private:
    class impl;
    explicit worker_node(std::unique_ptr<impl> owned);
    std::unique_ptr<impl> impl_;
};

} // namespace carillon::jobs
