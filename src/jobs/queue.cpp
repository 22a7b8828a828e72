#include <carillon/jobs/queue.hpp>

#include <unistd.h>

#include <array>
#include <condition_variable>
#include <mutex>

#include <fmt/format.h>

#include "jobs/embedded_store.hpp"
#include "jobs/queue_core.hpp"
#include "jobs/uuid.hpp"
#include "wire/celery/message.hpp"

namespace carillon {

namespace {

constexpr std::size_t queue_name_chars_max = 255;
constexpr std::size_t pending_operations_max = 100'000;
constexpr std::uint32_t list_rows_max = 1'000;

std::string origin_name() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0)
        return fmt::format("gen{}@localhost", ::getpid());
    return fmt::format("gen{}@{}", ::getpid(), host.data());
}

failure invalid(std::string message) { return {errc::invalid, std::move(message)}; }

result<void> check(const jobs::queue_core& core, const std::string& queue,
                   const enqueue_options& o) {
    if (queue.empty() || queue.size() > queue_name_chars_max)
        return invalid(
            fmt::format("the name of a queue has 1 to {} characters", queue_name_chars_max));
    if (o.priority < 0 || o.priority > 9)
        return invalid("the priority of a job is 0 to 9");
    if (o.countdown.count() < 0)
        return invalid("the countdown of a job is not negative");
    if (!o.group.empty() && (!is_group_name(o.group) || is_reserved_event_type(o.event_type)))
        return invalid("the group or the event type of a job is malformed");
    if (core.store->unfinished().all() >= static_cast<std::int64_t>(core.options.waiting_max) ||
        core.store->pending() >= pending_operations_max)
        return failure{errc::too_many_requests, "the job queue is full"};
    return {};
}

std::optional<utc_time> start_time(const enqueue_options& o) {
    if (o.countdown.count() > 0)
        return utc_now() + o.countdown;
    return o.eta;
}

wire::celery::message message_of(const job_registry::entry& task, job_arguments arguments,
                                 const enqueue_options& o) {
    wire::celery::message m;
    m.task = task.task;
    m.id = o.id.empty() ? jobs::make_uuid() : o.id;
    m.eta = start_time(o);
    m.expires = o.expires;
    if (task.options.soft_time_limit.count() > 0)
        m.soft_limit_s = std::chrono::duration<double>(task.options.soft_time_limit).count();
    m.origin = origin_name();
    m.ignore_result = false;
    m.priority = o.priority;
    jobs::put_group(m, {o.group, o.event_type});
    m.args = std::move(arguments.args);
    m.kwargs = std::move(arguments.kwargs);
    return m;
}

result<jobs::new_job> prepare(const jobs::queue_core& core, std::string_view task,
                              job_arguments arguments, const enqueue_options& o) {
    auto* entry = core.registry().find(task);
    if (!entry)
        return failure{errc::not_found, fmt::format("no task is registered as `{}`", task)};
    jobs::new_job job;
    job.queue = o.queue.empty() ? entry->options.queue : o.queue;
    if (auto fine = check(core, job.queue, o); !fine)
        return fine.error();
    job.message = message_of(*entry, std::move(arguments), o);
    return job;
}

failure no_such_job(std::string_view id) {
    return {errc::not_found, fmt::format("there is no job {}", id.substr(0, 255))};
}

} // namespace

job_queue::job_queue(std::shared_ptr<jobs::queue_core> core) : core_(std::move(core)) {}
job_queue::~job_queue() = default;

result<std::unique_ptr<job_queue>> job_queue::open(job_queue_options options,
                                                   job_services services) {
    if (options.poll_interval.count() < 1)
        return invalid("poll_interval is at least one millisecond");
    auto store = jobs::embedded_store::open(options, services.log ? *services.log : silent_log());
    if (!store)
        return store.error();
    auto core = std::make_shared<jobs::queue_core>(std::move(options), services, *std::move(store));
    return std::unique_ptr<job_queue>(new job_queue(std::move(core)));
}

void job_queue::enqueue(std::string_view task, job_arguments arguments, enqueue_options options,
                        receipt done) {
    auto job = prepare(*core_, task, std::move(arguments), options);
    if (!job)
        return done(job.error());
    core_->store->add(*std::move(job), [done = std::move(done), core = core_.get()](auto& id) {
        if (id)
            core->count().enqueued.add();
        done(id);
    });
}

result<std::string> job_queue::enqueue(std::string_view task, job_arguments arguments,
                                       enqueue_options options) {
    std::mutex guard;
    std::condition_variable told;
    std::optional<result<std::string>> outcome;
    enqueue(task, std::move(arguments), std::move(options), [&](result<std::string> id) {
        std::lock_guard lock(guard);
        outcome = std::move(id);
        told.notify_one();
    });
    std::unique_lock lock(guard);
    told.wait(lock, [&] { return outcome.has_value(); });
    return *std::move(outcome);
}

result<bool> job_queue::cancel(std::string_view id) {
    auto before = core_->store->request_cancel(id);
    if (!before)
        return before.error();
    if (!*before)
        return no_such_job(id);
    const auto& job = **before;
    if (is_final(job.state))
        return false;
    if (job.state == job_state::running)
        return true;
    // The mark is on disk: should this process die here, the worker that takes the job settles it.
    job_update news;
    news.id = job.id;
    news.task = job.task;
    news.status = "cancelled";
    news.progress = job.progress;
    news.message = "Cancelled";
    news.attempt = job.attempts;
    news.final = true;
    if (auto* entry = core_->registry().find(job.task))
        core_->tell_observer(entry->options, news);
    auto settled = core_->store->settle_cancelled(id, news.message);
    if (!settled)
        return settled.error();
    if (*settled) {
        core_->count().cancelled.add();
        core_->tell_group(job.group, job.event_type, news);
    }
    return true;
}

result<bool> job_queue::retry(std::string_view id) {
    auto outcome = core_->store->requeue(id);
    if (!outcome)
        return outcome.error();
    if (!*outcome)
        return no_such_job(id);
    return **outcome;
}

result<std::optional<job_record>> job_queue::get(std::string_view id) {
    return core_->store->get(id);
}

result<std::vector<job_record>> job_queue::list(const job_filter& filter) {
    if (filter.limit < 1 || filter.limit > list_rows_max)
        return invalid(fmt::format("a list has 1 to {} jobs", list_rows_max));
    return core_->store->list(filter);
}

result<job_record> job_queue::wait(std::string_view id, steady_time deadline) {
    return core_->store->wait(id, deadline);
}

result<std::vector<worker_info>> job_queue::workers() { return core_->store->workers(); }

result<std::vector<queue_info>> job_queue::queues() { return core_->store->queues(); }

result<void> job_queue::ping() { return core_->store->ping(); }

} // namespace carillon
