#include "jobs/pool.hpp"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/uuid.hpp"
#include "jobs/worker_name.hpp"

namespace carillon {

namespace {

constexpr double mean_weight = 0.1;   // of the newest run in the mean
constexpr double short_run_s = 0.02;  // jobs at most this long are taken ahead
constexpr double ahead_work_s = 0.05; // as much work as is taken ahead

// A data folder wakes its workers by itself when the time of a job comes; in a broker each delay costs a message.
jobs::rate_limited_jobs::bounds bounds_of(const jobs::queue_core& core) {
    jobs::rate_limited_jobs::bounds made;
    if (core.options.broker.empty())
        made.wait = std::chrono::seconds(1);
    return made;
}

} // namespace

worker_pool::impl::impl(std::shared_ptr<jobs::queue_core> core, worker_options options)
    : name(jobs::worker_name(options.name, jobs::host_name())), core_(std::move(core)),
      options_(std::move(options)), uuid_(make_uuid()), rate_limited_(rates_, bounds_of(*core_)),
      queues_(options_.queues) {}

worker_pool::impl::~impl() {
    if (!stopped_)
        stop(now(), now() + default_stop);
    stop_threads();
    core_->store->unsubscribe(subscription_);
}

result<void> worker_pool::impl::enlist() {
    worker_info me;
    me.id = uuid_;
    me.name = name;
    me.pid = ::getpid();
    me.threads = static_cast<std::uint32_t>(size());
    me.queues = queues();
    me.registered = core_->registry().names();
    me.started = started_;
    auto added = core_->store->add_worker(me, options_.lease);
    if (!added)
        return added.error();
    std::lock_guard lock(guard_);
    owner_ = *added;
    return {};
}

result<void> worker_pool::impl::start() {
    for (const auto& task : core_->registry().names()) {
        const auto& rate = core_->registry().find(task)->options.rate_limit;
        if (auto set = rates_.set(task, rate); !set)
            return failure{errc::invalid, fmt::format("the rate limit `{}` of the task `{}`: {}",
                                                      rate, task, set.error().message)};
    }
    wanted_ = options_.threads;
    if (auto enlisted = enlist(); !enlisted)
        return enlisted;
    subscription_ = core_->store->subscribe([this] {
        std::lock_guard lock(guard_);
        store_changed_ = true;
        keeper_wake_.notify_one();
    });
    slots_.resize(options_.threads);
    busy_.resize(options_.threads);
    generations_.resize(options_.threads);
    left_.resize(options_.threads);
    core_->keeping.end_round(true); // the first
    core_->threads += options_.threads;
    keeper_ = std::thread([this] { keep(); });
    flusher_ = std::thread([this] { flush_progress(); });
    workers_.resize(options_.threads);
    std::lock_guard lock(guard_);
    for (std::size_t i = 0; i < options_.threads; ++i)
        begin_thread(i, nullptr);
    return {};
}

// With guard_ held. The thread of a slot; first it ends the run that the one before it could not.
void worker_pool::impl::begin_thread(std::size_t slot, run overdue) {
    const auto generation = generations_[slot];
    ++living_;
    workers_[slot] = std::thread([this, slot, generation, overdue = std::move(overdue)]() mutable {
        if (overdue) {
            const auto begun = overdue->begun();
            overdue->end_overdue(expect_settled());
            overdue.reset();
            end_one(slot, generation, begun);
        }
        work(slot, generation);
        std::lock_guard lock(guard_);
        --living_;
        idle_.notify_all();
    });
}

void worker_pool::impl::work(std::size_t slot, std::uint64_t generation) {
    for (;;) {
        jobs::claimed_job job;
        {
            std::unique_lock lock(guard_);
            if (taken_.empty()) {
                room_ = true;
                keeper_wake_.notify_one();
            }
            work_there_.wait(lock, [&] { return leaving_ || slot >= wanted_ || !taken_.empty(); });
            if (slot >= wanted_ || taken_.empty()) {
                left_[slot] = true;
                return;
            }
            job = std::move(taken_.front());
            taken_.pop_front();
            busy_[slot] = true;
            last_taken_ = now();
            if (!room_ && taken_.size() <= ahead_wanted() / 2) {
                room_ = true;
                keeper_wake_.notify_one();
            }
        }
        const auto begun = now();
        run_one(slot, std::move(job));
        if (!end_one(slot, generation, begun))
            return;
    }
}

// Why a claimed job is not to be run, if so.
std::optional<jobs::unrun_end> worker_pool::impl::refusal(const jobs::claimed_job& job,
                                                          const job_registry::entry* entry) {
    using jobs::end_state;
    namespace celery = wire::celery;
    if (job.cancel)
        return jobs::unrun_end{end_state::cancelled, "Cancelled", celery::task_revoked("revoked")};
    if (job.expires && *job.expires < utc_now())
        return jobs::unrun_end{end_state::cancelled, "Expired", celery::task_revoked("expired")};
    if (!job.message) {
        const auto why = "the stored message cannot be read: " + job.message.error().message;
        return jobs::unrun_end{end_state::failed, why,
                               celery::to_exception({job.message.error().code, why}), true};
    }
    if (!entry)
        return jobs::unrun_end{end_state::failed,
                               fmt::format("no task is registered as `{}`", job.task),
                               celery::not_registered(job.task), true};
    if (job.losses >= static_cast<std::int64_t>(entry->options.losses_max)) {
        const auto why = fmt::format("{} workers died while they ran this job", job.losses);
        return jobs::unrun_end{end_state::failed, why, celery::worker_lost(why)};
    }
    return std::nullopt;
}

void worker_pool::impl::run_one(std::size_t slot, jobs::claimed_job job) {
    static const job_registry::entry unknown{{}, nullptr, {}};
    job.read();
    const auto* entry = core_->registry().find(job.task);
    auto refused = refusal(job, entry);
    std::int64_t owner = 0;
    std::optional<jobs::run_limits> set;
    {
        std::lock_guard lock(guard_);
        owner = owner_;
        if (auto found = time_limits_.find(job.task); found != time_limits_.end())
            set = found->second;
    }
    auto made = std::make_shared<jobs::running_job>(*core_, std::move(job),
                                                    entry ? *entry : unknown, owner, set, [this] {
                                                        std::lock_guard lock(guard_);
                                                        flush_changed_ = true;
                                                        flush_wake_.notify_one();
                                                    });
    if (refused)
        return made->settle_unrun(*std::move(refused), expect_settled());
    if (!core_->store->begin_run(made->job().seq, owner))
        return; // it is with another worker by now
    {
        std::lock_guard lock(guard_);
        slots_[slot] = made;
        if (auto known = begun_by_task_.find(made->job().task); known != begun_by_task_.end())
            ++known->second;
        else
            begun_by_task_.emplace(made->job().task, 1);
        // What was asked of this job before its run was known.
        if (shutdown_asked_)
            made->request_stop(stop_reason::shutdown);
        if (std::ranges::find(cancel_marks_, made->job().seq) != cancel_marks_.end())
            made->request_stop(stop_reason::cancelled);
    }
    made->tell_started();
    made->run(expect_settled());
}

// False when another thread has taken this one's place meanwhile.
bool worker_pool::impl::end_one(std::size_t slot, std::uint64_t generation, steady_time begun) {
    const double took_s = std::chrono::duration<double>(now() - begun).count();
    std::lock_guard lock(guard_);
    if (generations_[slot] != generation) {
        for (auto& each : stuck_)
            if (each.slot == slot && each.generation == generation)
                each.left = true;
        --*core_->stuck;
        idle_.notify_all();
        return false;
    }
    slots_[slot].reset();
    busy_[slot] = false;
    ++processed_;
    mean_run_s_ += (took_s - mean_run_s_) * mean_weight;
    idle_.notify_all();
    return true;
}

// The callback for one end: stop() waits for all of them.
std::function<void()> worker_pool::impl::expect_settled() {
    {
        std::lock_guard lock(guard_);
        ++unsettled_;
    }
    return [this] {
        std::lock_guard lock(guard_);
        --unsettled_;
        idle_.notify_all();
    };
}

std::uint32_t worker_pool::impl::ahead_wanted() const {
    if (mean_run_s_ > short_run_s)
        return 0;
    const double fit = ahead_work_s / std::max(mean_run_s_, 1e-6) * static_cast<double>(wanted_);
    return static_cast<std::uint32_t>(std::min<double>(fit, options_.ahead_max));
}

std::vector<worker_pool::impl::run> worker_pool::impl::runs() const {
    std::lock_guard lock(guard_);
    std::vector<run> present;
    for (const auto& each : slots_)
        if (each)
            present.push_back(each);
    return present;
}

bool worker_pool::impl::all_idle() const {
    return taken_.empty() && std::ranges::find(busy_, true) == busy_.end();
}

void worker_pool::impl::flush_progress() {
    std::unique_lock lock(guard_);
    while (!ending_) {
        flush_changed_ = false;
        lock.unlock();
        std::optional<steady_time> due;
        for (const auto& each : runs()) {
            each->flush(now());
            if (auto wanted = each->flush_due(); wanted && (!due || *wanted < *due))
                due = wanted;
        }
        lock.lock();
        const auto changed = [&] { return ending_ || flush_changed_; };
        if (due)
            flush_wake_.wait_until(lock, *due, changed);
        else
            flush_wake_.wait(lock, changed);
    }
}

std::uint64_t worker_pool::impl::active() const {
    std::lock_guard lock(guard_);
    return static_cast<std::uint64_t>(std::ranges::count(busy_, true));
}

std::uint64_t worker_pool::impl::processed() const {
    std::lock_guard lock(guard_);
    return processed_;
}

worker_pool::worker_pool(std::unique_ptr<impl> owned) : impl_(std::move(owned)) {}
worker_pool::~worker_pool() = default;

result<std::unique_ptr<worker_pool>> worker_pool::start(job_queue& queue, worker_options options) {
    if (options.threads < 1 || options.threads > 1'024)
        return failure{errc::invalid, "a worker has 1 to 1,024 threads"};
    if (options.queues.empty())
        return failure{errc::invalid, "a worker serves at least one queue"};
    if (options.lease < std::chrono::milliseconds(300))
        return failure{errc::invalid, "the lease of a worker is at least 300 ms"};
    auto made = std::make_unique<impl>(queue.core(), std::move(options));
    if (auto started = made->start(); !started)
        return started.error();
    return std::unique_ptr<worker_pool>(new worker_pool(std::move(made)));
}

stop_report worker_pool::stop(steady_time grace, steady_time deadline) {
    return impl_->stop(grace, deadline);
}

stop_report worker_pool::quit(steady_time deadline) { return impl_->quit(deadline); }

const std::string& worker_pool::name() const noexcept { return impl_->name; }
std::uint64_t worker_pool::active() const noexcept { return impl_->active(); }
std::uint64_t worker_pool::processed() const noexcept { return impl_->processed(); }

} // namespace carillon
