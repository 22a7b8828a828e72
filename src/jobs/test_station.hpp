// For tests: one process on a broker and a result store inside the test, which it shares with other stations.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "jobs/broker/loopback_broker.hpp"
#include "jobs/broker/loopback_results.hpp"
#include "jobs/broker_store.hpp"
#include "jobs/queue_core.hpp"
#include "jobs/test_support.hpp"

namespace carillon::testing {

// One process on a broker that it shares with others.
struct station {
    std::shared_ptr<loopback_server> server;
    std::shared_ptr<loopback_records> records;
    std::string reply_to;
    jobs::broker_store_options options = quick();
    std::unique_ptr<jobs::ledger> permits; // null: this process alone
    job_registry registry;
    testing::remembering_layer layer;
    metrics counted;
    loopback_broker* broker = nullptr;
    loopback_results* results = nullptr;
    jobs::broker_store* store = nullptr;
    std::unique_ptr<job_queue> queue;

    explicit station(std::shared_ptr<loopback_server> s = std::make_shared<loopback_server>(),
                     std::shared_ptr<loopback_records> r = std::make_shared<loopback_records>())
        : server(std::move(s)), records(std::move(r)) {}

    static jobs::broker_store_options quick() {
        jobs::broker_store_options o;
        o.retry_pause = std::chrono::milliseconds(20);
        return o;
    }
    job_queue& open() {
        auto through = std::make_unique<loopback_broker>(server);
        broker = through.get();
        auto kept = std::make_unique<loopback_results>(records, reply_to);
        results = kept.get();
        auto made = std::make_shared<jobs::broker_store>(
            options, std::move(through), std::move(kept), registry, silent_log(), counted,
            permits ? std::move(permits) : jobs::make_local_ledger());
        store = made.get();
        job_queue_options of_queue;
        of_queue.broker = "loopback:";
        job_services services{registry};
        services.layer = &layer;
        services.counters = &counted;
        queue = job_queue::over(
            std::make_shared<jobs::queue_core>(of_queue, services, std::move(made)));
        return *queue;
    }
    std::unique_ptr<worker_pool> pool(std::uint32_t threads = 2) {
        worker_options o;
        o.threads = threads;
        return worker_pool::start(*queue, o).value();
    }
    double metric(std::string_view name) const { return testing::sum_of(counted, name); }
    // A message as another program sends it.
    void put(wire::celery::message m, bool redelivered = false) {
        if (m.id.empty())
            m.id = "id-of-" + m.task;
        server->put({"celery", wire::celery::encode_parts(m).value(), redelivered});
    }
    bool all_acknowledged() {
        return server->wait(
            [](const loopback_server& s) { return s.waiting.empty() && s.unacknowledged.empty(); });
    }
};

} // namespace carillon::testing
