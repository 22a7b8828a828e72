// event_sender: tells monitors (`celery events`, Flower) what a worker does. A job never waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/value.hpp>

#include "jobs/broker/broker.hpp"
#include "jobs/control/lamport_clock.hpp"
#include "wire/celery/events.hpp"

namespace carillon::jobs {

struct event_options {
    std::string node; // "celery@host"
    std::chrono::milliseconds heartbeat{2'000};
    bool task_events = false; // Celery's -E
    // Task events that wait, also while the broker is away; what comes on top is dropped and counted.
    std::size_t waiting_max = 10'000;
    std::size_t waiting_bytes_max = 16u << 20;
    // How long the first event waits for others, so that lists are long and threads are woken seldom.
    std::chrono::milliseconds gather{10};
};
inline constexpr std::size_t events_per_list = 24; // as Celery's workers send them
inline constexpr std::size_t event_text_max =
    16'384; // bytes of an exception or a traceback; the end is cut

// Thread-safe, with a thread of its own. Events of tasks cost their worker the copy of a few texts; they are encoded
// and sent on the sender's thread.
class event_sender {
public:
    // `state` is asked on the sender's thread; interval and load of the machine are filled in. Broker, clock and
    // whatever `state` reads outlive the sender.
    event_sender(broker& through, lamport_clock& clock,
                 std::function<wire::celery::worker_state()> state, event_options options,
                 metrics& counted);
    ~event_sender(); // as stop()

    // From broker_events: a node is online when its broker is. Until then nothing is sent.
    void on_up() noexcept;
    void on_down() noexcept;
    // Sends what waits and worker-offline, when the broker is up. Nothing is sent afterwards.
    void stop();

    void heartbeat_now();
    bool task_events() const noexcept { return wanted_.load(std::memory_order_relaxed); }
    // What it was before.
    bool set_task_events(bool wanted) noexcept { return wanted_.exchange(wanted); }

    // Each does nothing while task events are not wanted.
    void received(const wire::celery::message& m);
    void started(std::string_view id);
    void succeeded(std::string_view id, const value& result, std::chrono::nanoseconds runtime);
    void failed(std::string_view id, std::string_view exception, std::string_view traceback);
    void retried(std::string_view id, std::string_view exception, std::string_view traceback);
    void revoked(std::string_view id, bool terminated, std::optional<int> signal, bool expired);
    void rejected(std::string_view id, bool requeue);

private:
    void note(std::string_view type, object fields);
    wire::celery::event make(std::string_view type, object fields);
    void run();
    bool has_work() const noexcept;
    void send_worker(std::string_view type);
    void send_tasks(std::vector<wire::celery::event> events);

    broker& broker_;
    lamport_clock& clock_;
    const std::function<wire::celery::worker_state()> state_;
    const event_options options_;
    counter& sent_;
    counter& dropped_;
    std::atomic<bool> wanted_;

    std::mutex guard_;
    std::condition_variable wake_;
    std::vector<wire::celery::event> waiting_;
    std::size_t waiting_bytes_ = 0;
    bool idle_ = false; // the thread sleeps until somebody wakes it
    bool up_ = false, online_due_ = false, heartbeat_due_ = false, stopping_ = false;
    std::thread thread_;
};

} // namespace carillon::jobs
