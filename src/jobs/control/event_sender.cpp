#include "jobs/control/event_sender.hpp"

#include <cstdlib>
#include <ctime>
#include <iterator>
#include <span>
#include <utility>

#include <unistd.h>

namespace carillon::jobs {

namespace celery = wire::celery;

namespace {

double epoch_seconds() {
    return std::chrono::duration<double>(utc_now().time_since_epoch()).count();
}

// Whole hours west of UTC, as Python's time.timezone is.
std::int64_t hours_west() {
    const std::time_t at = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&at, &local);
    return -local.tm_gmtoff / 3'600;
}

// Cut where a character begins.
std::string_view cut(std::string_view text) {
    if (text.size() <= event_text_max)
        return text;
    auto end = event_text_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        --end;
    return text.substr(0, end);
}

std::size_t weight(const object& fields) noexcept {
    std::size_t bytes = 256;
    for (const auto& [name, content] : fields)
        bytes += name.size() + content.to_text().size() + 32;
    return bytes;
}

} // namespace

event_sender::event_sender(broker& through, lamport_clock& clock,
                           std::function<celery::worker_state()> state, event_options options,
                           metrics& counted)
    : broker_(through), clock_(clock), state_(std::move(state)), options_(std::move(options)),
      sent_(counted.add(metric_kind::counter, "carillon_job_events_sent_total",
                        "Events of workers and tasks handed to the broker.")),
      dropped_(counted.add(metric_kind::counter, "carillon_job_events_dropped_total",
                           "Task events that were dropped because too many waited.")),
      wanted_(options_.task_events) {
    thread_ = std::thread([this] { run(); });
}

event_sender::~event_sender() { stop(); }

void event_sender::on_up() noexcept {
    std::lock_guard lock(guard_);
    up_ = online_due_ = true;
    wake_.notify_one();
}

void event_sender::on_down() noexcept {
    std::lock_guard lock(guard_);
    up_ = online_due_ = heartbeat_due_ = false;
}

void event_sender::stop() {
    {
        std::lock_guard lock(guard_);
        stopping_ = true;
        wake_.notify_one();
    }
    if (thread_.joinable())
        thread_.join();
}

void event_sender::heartbeat_now() {
    std::lock_guard lock(guard_);
    heartbeat_due_ = up_;
    wake_.notify_one();
}

// --- what happened, on the threads of jobs

void event_sender::received(const celery::message& m) {
    if (task_events())
        note("task-received", celery::received_fields(m));
}
void event_sender::started(std::string_view id) {
    if (task_events())
        note("task-started", celery::started_fields(id));
}
void event_sender::succeeded(std::string_view id, const value& result,
                             std::chrono::nanoseconds runtime) {
    if (task_events())
        note("task-succeeded",
             celery::succeeded_fields(id, result, std::chrono::duration<double>(runtime).count()));
}
void event_sender::failed(std::string_view id, std::string_view exception,
                          std::string_view traceback) {
    if (task_events())
        note("task-failed", celery::failed_fields(id, cut(exception), cut(traceback)));
}
void event_sender::retried(std::string_view id, std::string_view exception,
                           std::string_view traceback) {
    if (task_events())
        note("task-retried", celery::retried_fields(id, cut(exception), cut(traceback)));
}
void event_sender::revoked(std::string_view id, bool terminated, std::optional<int> signal,
                           bool expired) {
    if (task_events())
        note("task-revoked", celery::revoked_fields(id, terminated, signal, expired));
}
void event_sender::rejected(std::string_view id, bool requeue) {
    if (task_events())
        note("task-rejected", celery::rejected_fields(id, requeue));
}

void event_sender::note(std::string_view type, object fields) {
    const auto bytes = weight(fields);
    std::lock_guard lock(guard_);
    if (stopping_)
        return;
    if (waiting_.size() >= options_.waiting_max ||
        waiting_bytes_ + bytes > options_.waiting_bytes_max)
        return dropped_.add();
    waiting_bytes_ += bytes;
    waiting_.push_back(make(type, std::move(fields)));
    if (idle_ && up_) {
        idle_ = false;
        wake_.notify_one();
    }
}

// The node, its process and its time zone are the same for all: they are filled in when it is sent.
celery::event event_sender::make(std::string_view type, object fields) {
    celery::event e;
    e.type = type;
    e.timestamp = epoch_seconds();
    e.clock = clock_.next();
    e.fields = std::move(fields);
    return e;
}

// --- the sender's thread

bool event_sender::has_work() const noexcept {
    return stopping_ || (up_ && (online_due_ || heartbeat_due_ || !waiting_.empty()));
}

void event_sender::run() {
    auto next_heartbeat = now() + options_.heartbeat;
    std::unique_lock lock(guard_);
    for (bool ended = false; !ended;) {
        idle_ = true;
        wake_.wait_until(lock, next_heartbeat, [this] { return has_work(); });
        idle_ = false;
        if (!stopping_ && up_ && !online_due_ && !heartbeat_due_ && !waiting_.empty())
            wake_.wait_for(lock, options_.gather, [this] { return stopping_ || !up_; });
        ended = stopping_;
        if (now() >= next_heartbeat)
            heartbeat_due_ = up_;
        if (!up_) {
            if (now() >= next_heartbeat)
                next_heartbeat = now() + options_.heartbeat;
            continue;
        }
        const bool online = std::exchange(online_due_, false);
        const bool heartbeat = std::exchange(heartbeat_due_, false) && !online;
        auto tasks = std::exchange(waiting_, {});
        waiting_bytes_ = 0;
        lock.unlock();
        if (online)
            send_worker("worker-online");
        if (heartbeat)
            send_worker("worker-heartbeat");
        if (online || heartbeat)
            next_heartbeat = now() + options_.heartbeat;
        send_tasks(std::move(tasks));
        if (ended)
            send_worker("worker-offline");
        lock.lock();
    }
}

void event_sender::send_worker(std::string_view type) {
    auto state = state_();
    if (::getloadavg(state.load.data(), 3) != 3)
        state.load = {};
    state.heartbeat_s = std::chrono::duration<double>(options_.heartbeat).count();
    auto e = make(type, celery::fields_of(state));
    e.hostname = options_.node;
    e.pid = ::getpid();
    e.utcoffset = hours_west();
    broker_.emit(std::string(celery::event_exchange), celery::event_routing_key(type),
                 celery::encode_event(e));
    sent_.add();
}

void event_sender::send_tasks(std::vector<celery::event> events) {
    const auto west = events.empty() ? 0 : hours_west();
    for (auto& e : events) {
        e.hostname = options_.node;
        e.pid = ::getpid();
        e.utcoffset = west;
    }
    for (std::size_t i = 0; i < events.size(); i += events_per_list) {
        const auto first = events.begin() + static_cast<std::ptrdiff_t>(i);
        const auto left = events.size() - i;
        const auto last =
            first + static_cast<std::ptrdiff_t>(left < events_per_list ? left : events_per_list);
        const std::vector<celery::event> list(std::make_move_iterator(first),
                                              std::make_move_iterator(last));
        broker_.emit(std::string(celery::event_exchange),
                     std::string(celery::event_list_routing_key), celery::encode_events(list));
        sent_.add(static_cast<std::int64_t>(list.size()));
    }
}

} // namespace carillon::jobs
