// What tests of jobs need: a channel layer that remembers, and a queue in a folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <carillon/base/clock.hpp>
#include <carillon/channels/channel_layer.hpp>
#include <carillon/jobs/queue.hpp>
#include <carillon/jobs/worker_pool.hpp>

#include "base/test_support.hpp"
#include "jobs/embedded_store.hpp"
#include "jobs/queue_core.hpp"

namespace carillon::testing {

struct sent_event {
    std::string to;
    event what;
};

// A channel layer that delivers nothing and remembers all.
class remembering_layer final : public channel_layer {
public:
    result<void> group_send(std::string_view group, event e) override {
        sent.add({std::string(group), std::move(e)});
        return {};
    }
    result<void> send(std::string_view channel, event e) override {
        sent.add({std::string(channel), std::move(e)});
        return {};
    }
    result<void> group_add(std::string_view, std::string_view) override { return {}; }
    result<void> group_discard(std::string_view, std::string_view) override { return {}; }

    journal<sent_event> sent;
};

// What the tests of the embedded queue look at behind its interface.
inline jobs::embedded_store& stored(job_queue& queue) {
    return dynamic_cast<jobs::embedded_store&>(*queue.core()->store);
}

// A queue in a folder, with a layer that remembers. Tasks are added to `registry` before open().
struct workshop {
    explicit workshop(std::filesystem::path folder) : data_dir(std::move(folder)) {}

    job_queue& open() {
        job_queue_options options;
        options.data_dir = data_dir;
        options.poll_interval = std::chrono::milliseconds(20);
        return open(options);
    }
    job_queue& open(const job_queue_options& options) {
        job_services services{registry};
        services.layer = &layer;
        services.counters = &counted;
        queue = job_queue::open(options, services).value();
        return *queue;
    }
    // A pool with a short lease, so that nothing here takes long.
    std::unique_ptr<worker_pool>
    pool(std::uint32_t threads = 2,
         std::chrono::milliseconds lease = std::chrono::milliseconds(600)) {
        worker_options options;
        options.threads = threads;
        options.lease = lease;
        return worker_pool::start(*queue, options).value();
    }
    double metric(std::string_view name) const { return testing::sum_of(counted, name); }

    std::filesystem::path data_dir;
    job_registry registry;
    remembering_layer layer;
    metrics counted;
    std::unique_ptr<job_queue> queue;
};

// A task that needs arguments and has a result.
inline value add(job_context&, const job_arguments& a) {
    std::int64_t sum = 0;
    for (const auto& each : a.args)
        sum += each.to_int();
    return sum;
}

// For tasks that are tried again.
inline job_options impatient() {
    job_options o;
    o.retry_delay = std::chrono::milliseconds(1);
    return o;
}

} // namespace carillon::testing
