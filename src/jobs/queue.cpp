#include <carillon/jobs/queue.hpp>

#include <fmt/format.h>

#include "base/uuid.hpp"
#include "jobs/awaited.hpp"
#include "jobs/embedded_store.hpp"
#include "jobs/open_store.hpp"
#include "jobs/queue_core.hpp"
#include "jobs/worker_name.hpp"
#include "wire/celery/message.hpp"

namespace carillon {

namespace {

constexpr std::size_t queue_name_chars_max = 255;
constexpr std::size_t unique_key_chars_max = 255;
constexpr std::size_t concurrency_key_chars_max = 255;
constexpr std::size_t pending_operations_max = 100'000;
constexpr std::uint32_t list_rows_max = 1'000;

failure invalid(std::string message) { return {errc::invalid, std::move(message)}; }

result<void> check_room(const jobs::queue_core& core) {
    if (core.store->unfinished().all() >= static_cast<std::int64_t>(core.options.waiting_max) ||
        core.store->pending() >= pending_operations_max)
        return failure{errc::too_many_requests, "the job queue is full"};
    return {};
}

result<void> check(const jobs::queue_core& core, const std::string& queue,
                   const enqueue_options& o) {
    if (queue.empty() || queue.size() > queue_name_chars_max)
        return invalid(
            fmt::format("the name of a queue has 1 to {} characters", queue_name_chars_max));
    if (o.priority < 0 || o.priority > 9)
        return invalid("the priority of a job is 0 to 9");
    if (o.countdown.count() < 0)
        return invalid("the countdown of a job is not negative");
    if (o.soft_time_limit.count() < 0 || o.hard_time_limit.count() < 0)
        return invalid("the time limits of a job are not negative");
    if (o.unique_key.size() > unique_key_chars_max)
        return invalid(fmt::format("a unique key has up to {} characters", unique_key_chars_max));
    if (o.concurrency_key.size() > concurrency_key_chars_max)
        return invalid(
            fmt::format("a concurrency key has up to {} characters", concurrency_key_chars_max));
    if (o.concurrency_max > jobs::concurrency_limit_max)
        return invalid(
            fmt::format("a concurrency limit is 1 to {} jobs", jobs::concurrency_limit_max));
    if (!o.group.empty() && (!is_group_name(o.group) || is_reserved_event_type(o.event_type)))
        return invalid("the group or the event type of a job is malformed");
    return check_room(core);
}

std::optional<utc_time> start_time(const enqueue_options& o) {
    if (o.countdown.count() > 0)
        return utc_now() + o.countdown;
    return o.eta;
}

constexpr std::chrono::milliseconds no_limit{0};

std::optional<double> limit_of(std::chrono::milliseconds own, std::chrono::milliseconds of_task) {
    const auto limit = own.count() > 0 ? own : of_task;
    return limit.count() > 0 ? std::optional(std::chrono::duration<double>(limit).count())
                             : std::nullopt;
}

// `entry` is null for a task of another program.
wire::celery::message message_of(std::string_view task, const job_registry::entry* entry,
                                 job_arguments arguments, const enqueue_options& o) {
    wire::celery::message m;
    m.task = task;
    m.id = o.id.empty() ? make_uuid() : o.id;
    m.eta = start_time(o);
    m.expires = o.expires;
    m.soft_limit_s = limit_of(o.soft_time_limit, entry ? entry->options.soft_time_limit : no_limit);
    m.hard_limit_s = limit_of(o.hard_time_limit, entry ? entry->options.hard_time_limit : no_limit);
    m.origin = jobs::origin_name();
    m.ignore_result = o.ignore_result;
    m.priority = o.priority;
    jobs::put_group(m, {o.group, o.event_type});
    jobs::put_limit(m, {o.concurrency_key, o.concurrency_max});
    m.args = std::move(arguments.args);
    m.kwargs = std::move(arguments.kwargs);
    return m;
}

result<jobs::new_job> prepare(const jobs::queue_core& core, std::string_view task,
                              job_arguments arguments, const enqueue_options& o) {
    auto* entry = core.registry().find(task);
    if (!entry && core.options.broker.empty())
        return failure{errc::not_found, fmt::format("no task is registered as `{}`", task)};
    jobs::new_job job;
    job.queue = !o.queue.empty() ? o.queue : entry ? entry->options.queue : job_options().queue;
    if (auto fine = check(core, job.queue, o); !fine)
        return fine.error();
    if (!o.concurrency_key.empty() && o.concurrency_max == 0 &&
        (!entry || entry->options.concurrency_max == 0))
        return invalid("a concurrency key needs a limit: concurrency_max of the job or its task");
    job.message = message_of(task, entry, std::move(arguments), o);
    job.unique_key = o.unique_key;
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
    for (const auto& [queue, max] : options.queue_limits)
        if (queue.empty() || queue.size() > queue_name_chars_max || max < 1 ||
            max > jobs::concurrency_limit_max)
            return invalid(
                fmt::format("the limit of a queue is 1 to {} jobs, its name 1 to {} characters",
                            jobs::concurrency_limit_max, queue_name_chars_max));
    std::shared_ptr<jobs::job_store> store;
    if (options.broker.empty()) {
        auto opened = jobs::embedded_store::open(options, services.registry,
                                                 services.log ? *services.log : silent_log());
        if (!opened)
            return opened.error();
        store = *std::move(opened);
    } else {
        if (options.visibility_timeout.count() < 1)
            return invalid("visibility_timeout is at least one second");
        if (options.enqueue_timeout.count() < 1)
            return invalid("enqueue_timeout is at least one millisecond");
        auto opened = jobs::open_broker_store(options, services);
        if (!opened)
            return opened.error();
        store = *std::move(opened);
    }
    return over(std::make_shared<jobs::queue_core>(std::move(options), services, std::move(store)));
}

std::unique_ptr<job_queue> job_queue::over(std::shared_ptr<jobs::queue_core> core) {
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
    jobs::awaited<std::string> id;
    enqueue(task, std::move(arguments), std::move(options), id.teller());
    return id.wait();
}

result<sent_call> job_queue::enqueue(const call& workflow) {
    if (auto room = check_room(*core_); !room)
        return room.error();
    auto signature = wire::celery::read_signature(workflow.signature());
    if (!signature)
        return signature.error();
    jobs::awaited<wire::celery::result_tuple> asked;
    core_->store->send(*signature, asked.teller());
    auto sent = asked.wait();
    if (!sent)
        return sent.error();
    core_->count().enqueued.add();
    sent_call told{sent->id, {}};
    if (sent->is_group)
        for (const auto& member : sent->members)
            told.members.push_back(member.id);
    return told;
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

result<void> job_queue::ping() {
    const auto threads = core_->threads.load(), stuck = core_->stuck->load();
    if (stuck * 2 > threads)
        return failure{
            errc::unavailable,
            fmt::format("{} of {} worker threads are stuck in handlers that passed their "
                        "hard time limit",
                        stuck, threads)};
    if (threads > 0)
        if (auto kept = core_->keeping.state("no job can be taken",
                                             "the worker does not ask for jobs any more");
            !kept)
            return kept;
    return core_->store->ping();
}

} // namespace carillon
