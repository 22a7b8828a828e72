#include "app/remote_control.hpp"

#include "app/job_settings.hpp"

namespace carillon::app {

std::unique_ptr<jobs::worker_node> attach_node(const application& site, runtime& parts,
                                               worker_pool& pool, bool task_events,
                                               std::function<void()> shutdown) {
    auto& shared = parts.shared();
    jobs::worker_node_options options;
    options.version = site.version();
    options.task_events = task_events;
    options.conf = object{{"broker_url", shown_broker(shared.config)},
                          {"result_backend", shown_results(shared.config)},
                          {"result_expires", shared.config.result_expires.count()},
                          {"accept_content", array{"json"}},
                          {"task_serializer", "json"},
                          {"result_serializer", "json"},
                          {"task_default_queue", job_options().queue},
                          {"task_acks_late", true}};
    options.shutdown = std::move(shutdown);
    return jobs::worker_node::attach(parts.jobs(), pool, std::move(options), shared.log,
                                     shared.counters);
}

} // namespace carillon::app
