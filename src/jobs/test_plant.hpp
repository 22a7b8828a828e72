// For tests: a worker process on a broker inside this process, with its node of remote control.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "jobs/broker/loopback_broker.hpp"
#include "jobs/broker/loopback_results.hpp"
#include "jobs/broker_store.hpp"
#include "jobs/queue_core.hpp"
#include "jobs/test_support.hpp"
#include "jobs/worker_node.hpp"
#include "wire/celery/control.hpp"
#include "wire/celery/events.hpp"

namespace carillon::testing {

struct plant {
    std::shared_ptr<loopback_server> server = std::make_shared<loopback_server>();
    job_registry registry;
    metrics counted;
    jobs::broker_store* store = nullptr;
    std::unique_ptr<job_queue> queue;
    std::unique_ptr<worker_pool> pool;
    std::unique_ptr<jobs::worker_node> node;
    int asked = 0;

    ~plant() {
        if (pool)
            pool->stop(soon());
        node.reset();
    }
    void open(std::uint32_t threads, jobs::worker_node_options options = {}) {
        auto made = std::make_shared<jobs::broker_store>(
            jobs::broker_store_options{}, std::make_unique<loopback_broker>(server),
            std::make_unique<loopback_results>(std::make_shared<loopback_records>(), ""), registry,
            silent_log(), counted);
        store = made.get();
        job_queue_options of_queue;
        of_queue.broker = "loopback:";
        queue = job_queue::over(
            std::make_shared<jobs::queue_core>(of_queue, job_services{registry}, std::move(made)));
        worker_options of_pool;
        of_pool.name = "plant@here";
        of_pool.threads = threads;
        pool = worker_pool::start(*queue, of_pool).value();
        node = jobs::worker_node::attach(*queue, *pool, std::move(options), silent_log(), counted);
        if (!node)
            throw std::logic_error("a queue on a broker has no node");
    }
    // What the node answers to a command.
    value ask(std::string method, object arguments = {}) {
        wire::celery::control_request request;
        request.method = std::move(method);
        request.arguments = std::move(arguments);
        request.ticket = "ticket-" + std::to_string(++asked);
        request.reply_exchange = wire::celery::pidbox_reply_exchange;
        request.reply_routing_key = "replies";
        const auto ticket = request.ticket;
        store->through().emit(std::string(wire::celery::pidbox_exchange), {},
                              wire::celery::encode_request(request));
        value content;
        const bool answered = server->wait([&](const auto& s) {
            for (const auto& [exchange, parts] : s.emitted) {
                if (exchange != wire::celery::pidbox_reply_exchange)
                    continue;
                const auto reply = wire::celery::decode_reply(parts);
                if (!reply || reply->ticket != ticket || reply->node != "plant@here")
                    continue;
                content = reply->content;
                return true;
            }
            return false;
        });
        if (!answered)
            throw std::runtime_error("the node does not answer");
        return content;
    }
    // The types of the events that were told so far, those of workers left out.
    static std::vector<std::string> task_events(const loopback_server& s) {
        std::vector<std::string> types;
        for (const auto& [exchange, parts] : s.emitted)
            if (exchange == wire::celery::event_exchange)
                for (const auto& each : wire::celery::decode_events(parts).value())
                    if (each.type.starts_with("task-"))
                        types.push_back(each.type);
        return types;
    }
};

} // namespace carillon::testing
