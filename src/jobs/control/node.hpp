// control_node: a worker's ear for remote control. Answers what `celery inspect`, `celery control` and Flower ask.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>

#include "jobs/broker/broker.hpp"
#include "jobs/control/commands.hpp"

namespace carillon::jobs {

struct control_options {
    std::string node; // "celery@host"; unique among the nodes of a broker
    // Requests that wait; what comes on top is dropped and counted.
    std::size_t waiting_max = 1'000;
    // Requests for this node that are carried out in a second; the next one waits for the next second.
    std::uint32_t per_second = 200;
    // Entries of a list in an answer.
    std::size_t listed_max = 10'000;
    // A request whose time is over by more than this is not carried out: whoever asked has gone. No shorter than
    // clocks of nodes differ; monitors complain at 16 s.
    std::chrono::seconds late_max{16};
};

// What broker_events hands over is carried out on a thread of its own.
class control_node {
public:
    // All that is referred to outlives the node. start() begins to listen; the broker was started before.
    control_node(broker& through, worker_view& worker, lamport_clock& clock, event_sender& events,
                 newest_ids& revoked, control_options options, logger& log, metrics& counted);
    ~control_node(); // as stop()
    void start();
    // Requests that wait are dropped; one that is carried out is finished. Not to be called by the worker_view.
    void stop();

    // From broker_events::on_control(): takes it over and returns.
    void on_control(wire::celery::message_parts request) noexcept;

private:
    void run();
    void handle(const wire::celery::message_parts& parts);
    bool is_meant(const wire::celery::control_request& request);
    void answer(const wire::celery::control_request& request, const value& content);
    void spend_turn();

    broker& broker_;
    lamport_clock& clock_;
    const control_options options_;
    const command_context context_;
    logger& log_;
    counter& handled_;
    counter& dropped_;

    // of the thread
    steady_time second_began_{};
    std::uint32_t in_second_ = 0;

    std::mutex guard_;
    std::condition_variable wake_;
    std::deque<wire::celery::message_parts> waiting_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace carillon::jobs
