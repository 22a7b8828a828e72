#include "jobs/running_job.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <random>
#include <typeinfo>

#include <fmt/format.h>

#include <carillon/wire/json.hpp>

#include "jobs/backoff.hpp"

namespace carillon::jobs {

namespace {

int strength(stop_reason why) noexcept {
    switch (why) {
    case stop_reason::none: return 0;
    case stop_reason::shutdown: return 1;
    case stop_reason::time_limit: return 2;
    case stop_reason::cancelled: return 3;
    case stop_reason::lost: return 4;
    }
    return 0;
}

std::chrono::steady_clock::duration progress_interval(const job_options& options) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(1.0 / std::clamp(options.progress_rate, 0.01, 1'000.0)));
}

// The message's own limit, if it is not only what its task is registered with: then what was set since counts, if so.
std::optional<double> limit_of(const std::optional<double>& own, std::chrono::milliseconds of_task,
                               const std::optional<double>* set) {
    const auto registered = of_task.count() > 0
                                ? std::optional(std::chrono::duration<double>(of_task).count())
                                : std::nullopt;
    if (own && own != registered)
        return own;
    return set ? *set : registered;
}

run_limits limits_of(const shared_message& m, const job_options& task,
                     const std::optional<run_limits>& set) {
    if (!m)
        return {};
    return {limit_of(m->soft_limit_s, task.soft_time_limit, set ? &set->soft_s : nullptr),
            limit_of(m->hard_limit_s, task.hard_time_limit, set ? &set->hard_s : nullptr)};
}

double random_part() {
    thread_local std::minstd_rand source{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(source);
}

} // namespace

void job_log::write(log_level level, std::string_view message,
                    std::initializer_list<log_field> fields) {
    const log_field id{"job", id_}, task{"task", task_};
    const auto* f = fields.begin();
    switch (fields.size()) {
    case 0: return below_.write(level, message, {id, task});
    case 1: return below_.write(level, message, {id, task, f[0]});
    case 2: return below_.write(level, message, {id, task, f[0], f[1]});
    case 3: return below_.write(level, message, {id, task, f[0], f[1], f[2]});
    case 4: return below_.write(level, message, {id, task, f[0], f[1], f[2], f[3]});
    case 5: return below_.write(level, message, {id, task, f[0], f[1], f[2], f[3], f[4]});
    default: return below_.write(level, message, {id, task, f[0], f[1], f[2], f[3], f[4], f[5]});
    }
}

running_job::running_job(queue_core& core, claimed_job job, const job_registry::entry& entry,
                         std::int64_t owner, const std::optional<run_limits>& set,
                         std::function<void()> flush_wanted)
    : core_(core), job_(std::move(job)), entry_(entry),
      message_(job_.message ? *job_.message : nullptr), owner_(owner),
      limits_(limits_of(message_, entry.options, set)),
      attempt_(static_cast<std::uint32_t>(job_.attempts + (job_.counted ? 0 : 1))),
      flush_wanted_(std::move(flush_wanted)), log_(core.log(), job_), counted_(job_.counted) {}

job_update running_job::update(std::string_view status) const {
    job_update news;
    news.id = job_.id;
    news.task = job_.task;
    news.status = status;
    news.progress = percent_;
    news.message = sentence_;
    news.attempt = attempt_;
    return news;
}

held_job running_job::held() { return {job_.seq, counted_, job_.limited}; }

void running_job::tell_started() {
    core_.count().started.add();
    std::lock_guard lock(telling_);
    const auto news = update("started");
    core_.tell_observer(entry_.options, news);
    core_.tell_group(job_.group, job_.event_type, news);
}

void running_job::count_now() {
    std::lock_guard lock(telling_);
    if (counted_ || ended_)
        return;
    counted_ = true;
    core_.store->note_started(job_.seq, owner_);
}

void running_job::request_stop(stop_reason why) {
    {
        std::lock_guard lock(stop_guard_);
        if (strength(why) <= strength(stop_.load()))
            return;
        stop_.store(why);
    }
    stop_told_.notify_all();
}

void running_job::check_time_limit(steady_time at) {
    if (!limits_.soft_s)
        return;
    if (std::chrono::duration<double>(at - begun_).count() >= *limits_.soft_s)
        request_stop(stop_reason::time_limit);
}

bool running_job::hard_limit_passed(steady_time at) const noexcept {
    return limits_.hard_s && std::chrono::duration<double>(at - begun_).count() >= *limits_.hard_s;
}

void running_job::end_overdue(std::function<void()> settled) {
    request_stop(stop_reason::lost);
    const double limit_s = *limits_.hard_s;
    std::unique_lock lock(telling_);
    auto news = update("failed");
    lock.unlock();
    news.error = fmt::format("the hard time limit of {} s has passed", limit_s);
    news.message = news.error;
    run_end end;
    end.state = end_state::failed;
    end.exception = wire::celery::time_limit_exceeded(limit_s, false);
    end.traceback = traceback_of(end.exception);
    finish(std::move(end), std::move(news), std::move(settled));
}

bool running_job::leave_behind() {
    if (!take_end())
        return false;
    // An observer that never returns holds it: then the job goes back with its worker.
    std::unique_lock lock(telling_, std::try_to_lock);
    if (!lock)
        return true;
    ended_ = true;
    if (!entry_.options.acks_late && !core_.options.broker.empty()) {
        log_.error("a job that was acknowledged before it ran is lost: its worker was told to quit",
                   {{"attempt", attempt_}});
        return true;
    }
    given_back_.store(true);
    core_.count().given_back.add();
    core_.store->give_back(owner_, {held()});
    return true;
}

bool running_job::wait_for(std::chrono::milliseconds duration) {
    std::unique_lock lock(stop_guard_);
    return !stop_told_.wait_for(lock, duration, [&] { return stop_.load() != stop_reason::none; });
}

void running_job::progress(int percent, std::string_view message) {
    bool wake = false;
    {
        std::lock_guard lock(telling_);
        const auto further = std::max(percent_, std::clamp(percent, 0, 100));
        if (ended_ || (further == percent_ && message == sentence_))
            return;
        percent_ = further;
        if (message != sentence_)
            sentence_ = cut_text(message, message_chars_max);
        const auto at = carillon::now();
        // What ends the work mostly follows 100 per cent at once: it goes out with the end where it can.
        if (!unsent_ && percent_ == 100)
            sent_ = at;
        wake = !unsent_;
        unsent_ = true;
        if (percent_ < 100 && at >= sent_ + progress_interval(entry_.options)) {
            emit(at);
            wake = false;
        }
    }
    if (wake)
        flush_wanted_();
}

std::optional<steady_time> running_job::flush_due() const {
    std::lock_guard lock(telling_);
    if (!unsent_ || ended_)
        return std::nullopt;
    return sent_ + progress_interval(entry_.options);
}

void running_job::flush(steady_time at) {
    std::lock_guard lock(telling_);
    if (unsent_ && !ended_ && at >= sent_ + progress_interval(entry_.options))
        emit(at);
}

void running_job::emit(steady_time at) {
    unsent_ = false;
    sent_ = at;
    if (stop_.load() == stop_reason::lost)
        return;
    const auto news = update("in_progress");
    core_.tell_observer(entry_.options, news);
    core_.tell_group(job_.group, job_.event_type, news);
    core_.store->note_progress(job_.seq, owner_, percent_, sentence_);
}

void running_job::run(std::function<void()> settled) {
    std::exception_ptr thrown;
    value returned;
    try {
        returned = entry_.run(*this, job_arguments(message_->args, message_->kwargs));
    } catch (...) {
        thrown = std::current_exception();
    }
    if (!take_end())
        return settled();
    if (thrown)
        end_failed(thrown, std::move(settled));
    else if (stop_.load() == stop_reason::cancelled)
        end_stopped({}, std::move(settled));
    else
        succeed(std::move(returned), std::move(settled));
}

void running_job::succeed(value returned, std::function<void()> settled) {
    // What it takes as text is what the store would have to hold.
    if (const auto bytes = to_json(returned).size(); bytes > core_.options.result_bytes_max) {
        auto why =
            fmt::format("the result takes {} bytes of {}", bytes, core_.options.result_bytes_max);
        auto exception = wire::celery::to_exception(failure{errc::too_large, why});
        return fail({errc::too_large, std::move(why), std::move(exception)}, std::move(settled));
    }
    std::unique_lock lock(telling_);
    auto news = update("completed");
    if (percent_ < 100 || sentence_.empty())
        news.message = "Completed";
    news.progress = 100;
    news.result = std::move(returned);
    lock.unlock();
    finish({}, std::move(news), std::move(settled));
}

void running_job::end_stopped(const std::string& why, std::function<void()> settled) {
    switch (stop_.load()) {
    case stop_reason::cancelled: {
        std::unique_lock lock(telling_);
        auto news = update("cancelled");
        lock.unlock();
        news.message = "Cancelled";
        run_end end;
        end.state = end_state::cancelled;
        end.exception = wire::celery::task_revoked("terminated");
        return finish(std::move(end), std::move(news), std::move(settled));
    }
    case stop_reason::shutdown: {
        std::lock_guard lock(telling_);
        ended_ = true;
        given_back_.store(true);
        core_.count().given_back.add();
        core_.store->give_back(owner_, {held()});
        return settled();
    }
    case stop_reason::time_limit: {
        const double limit_s = *limits_.soft_s;
        return fail({errc::timed_out, fmt::format("the time limit of {} s has passed", limit_s),
                     wire::celery::time_limit_exceeded(limit_s, true)},
                    std::move(settled));
    }
    case stop_reason::lost: {
        std::lock_guard lock(telling_);
        ended_ = true;
        return settled();
    }
    case stop_reason::none: break;
    }
    // It says that it was stopped, but nobody asked it to: an error like any other.
    fail({errc::cancelled, why, wire::celery::to_exception(failure{errc::cancelled, why})},
         std::move(settled));
}

void running_job::end_failed(std::exception_ptr thrown, std::function<void()> settled) {
    const auto reason = stop_.load();
    if (reason == stop_reason::cancelled || reason == stop_reason::lost)
        return end_stopped({}, std::move(settled));
    auto failed = read_failure(thrown);
    if (failed.code == errc::cancelled)
        end_stopped(failed.why, std::move(settled));
    else
        fail(std::move(failed), std::move(settled));
}

running_job::failed_try running_job::read_failure(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const retry_later& later) {
        return {later.code(), later.what(), wire::celery::to_exception(later), later.delay()};
    } catch (const carillon::error& known) {
        return {known.code(), known.what(), wire::celery::to_exception(known)};
    } catch (const std::exception& other) {
        return {errc::internal, other.what(), wire::celery::to_exception(other)};
    } catch (...) {
        const auto* type = abi::__cxa_current_exception_type();
        auto why = fmt::format("the handler threw no std::exception but `{}`",
                               type ? type->name() : "something foreign");
        auto exception = wire::celery::to_exception(failure{errc::internal, why});
        return {errc::internal, std::move(why), std::move(exception)};
    }
}

bool running_job::may_try_again() const noexcept {
    return job_.retries + 1 < static_cast<std::int64_t>(entry_.options.attempts_max);
}

// In the shape that readers of Python's tracebacks know.
std::string running_job::traceback_of(const wire::celery::exception_record& thrown) const {
    return fmt::format(
        "Traceback (most recent call last):\n  Task \"{}\", attempt {}, in C++\n{}\n", job_.task,
        attempt_, wire::celery::repr(thrown));
}

void running_job::fail(failed_try failed, std::function<void()> settled) {
    if (may_try_again() && !is_permanent(failed.code)) {
        const auto delay =
            failed.delay ? *failed.delay : retry_wait(entry_.options, job_.retries, random_part());
        return try_again(std::move(failed), std::max(delay, std::chrono::milliseconds{0}),
                         std::move(settled));
    }
    std::unique_lock lock(telling_);
    auto news = update("failed");
    lock.unlock();
    news.error = cut_text(failed.why, error_chars_max);
    news.message = cut_text(failed.why, message_chars_max);
    run_end end;
    end.state = end_state::failed;
    end.traceback = traceback_of(failed.exception);
    end.exception = std::move(failed.exception);
    finish(std::move(end), std::move(news), std::move(settled));
}

void running_job::try_again(failed_try failed, std::chrono::milliseconds delay,
                            std::function<void()> settled) {
    std::unique_lock lock(telling_);
    auto news = update("in_progress");
    news.error = cut_text(failed.why, error_chars_max);
    news.message = cut_text(fmt::format("Failed: {}. Tried again in {:.1f} s", failed.why,
                                        static_cast<double>(delay.count()) / 1e3),
                            message_chars_max);
    ended_ = true;
    core_.tell_observer(entry_.options, news);
    log_.warning("a job failed and will be tried again",
                 {{"attempt", attempt_}, {"error", news.error}, {"delay_ms", delay.count()}});
    run_end end;
    end.job = held();
    lock.unlock();
    end.state = end_state::retried;
    auto next = wire::celery::next_try(*message_, utc_now() + delay);
    next.retries = job_.retries + 1;
    end.next = std::make_shared<const wire::celery::message>(std::move(next));
    end.traceback = traceback_of(failed.exception);
    end.exception = std::move(failed.exception);
    write(std::move(end), std::move(news), std::move(settled));
}

void running_job::finish(run_end end, job_update news, std::function<void()> settled) {
    std::unique_lock lock(telling_);
    ended_ = true;
    news.final = true;
    const bool told = core_.tell_observer(entry_.options, news);
    end.job = held();
    lock.unlock();
    if (!told && may_try_again() && end.ran && stop_.load() != stop_reason::lost) {
        std::string why = "the end of the job could not be recorded";
        auto exception = wire::celery::to_exception(failure{errc::unavailable, why});
        return try_again({errc::unavailable, std::move(why), std::move(exception)},
                         retry_wait(entry_.options, job_.retries, random_part()),
                         std::move(settled));
    }
    if (end.state == end_state::completed)
        end.result = std::move(news.result);
    if (end.state == end_state::failed)
        log_.warning("a job failed", {{"attempt", attempt_}, {"error", news.error}});
    write(std::move(end), std::move(news), std::move(settled));
}

void running_job::write(run_end end, job_update news, std::function<void()> settled) {
    const auto state = end.state;
    end.owner = owner_;
    end.of = message_;
    end.progress = news.progress;
    end.message = news.message;
    end.error = news.error;
    core_.store->end_run(std::move(end),
                         [&core = core_, state, news = std::move(news), group = job_.group,
                          type = job_.event_type, settled = std::move(settled)](bool held) {
                             if (held) {
                                 core.count().of(state).add();
                                 core.tell_group(group, type, news);
                             }
                             settled();
                         });
}

void running_job::settle_unrun(unrun_end unrun, std::function<void()> settled) {
    std::unique_lock lock(telling_);
    auto news = update(unrun.state == end_state::failed ? "failed" : "cancelled");
    lock.unlock();
    news.attempt = static_cast<std::uint32_t>(job_.attempts - (job_.counted ? 1 : 0));
    if (unrun.state == end_state::failed)
        news.error = unrun.message;
    news.message = std::move(unrun.message);
    run_end end;
    end.state = unrun.state;
    end.ran = false;
    end.rejected = unrun.rejected;
    end.exception = std::move(unrun.exception);
    finish(std::move(end), std::move(news), std::move(settled));
}

} // namespace carillon::jobs
