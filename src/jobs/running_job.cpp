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
                         wire::celery::message message, std::int64_t owner,
                         std::function<void()> flush_wanted)
    : core_(core), job_(std::move(job)), entry_(entry), message_(std::move(message)), owner_(owner),
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

held_job running_job::held() { return {job_.seq, counted_}; }

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
    if (!message_.soft_limit_s)
        return;
    if (std::chrono::duration<double>(at - begun_).count() >= *message_.soft_limit_s)
        request_stop(stop_reason::time_limit);
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
        returned = entry_.run(*this, job_arguments(message_.args, message_.kwargs));
    } catch (...) {
        thrown = std::current_exception();
    }
    if (thrown)
        end_failed(thrown, std::move(settled));
    else if (stop_.load() == stop_reason::cancelled)
        end_stopped({}, std::move(settled));
    else
        succeed(std::move(returned), std::move(settled));
}

void running_job::succeed(value returned, std::function<void()> settled) {
    auto json = to_json(returned);
    if (json.size() > core_.options.result_bytes_max)
        return fail(errc::too_large,
                    fmt::format("the result takes {} bytes of {}", json.size(),
                                core_.options.result_bytes_max),
                    std::nullopt, std::move(settled));
    std::unique_lock lock(telling_);
    auto news = update("completed");
    if (percent_ < 100 || sentence_.empty())
        news.message = "Completed";
    news.progress = 100;
    news.result = std::move(returned);
    lock.unlock();
    finish(row_state::completed, std::move(news), true, std::move(settled));
}

void running_job::end_stopped(const std::string& why, std::function<void()> settled) {
    switch (stop_.load()) {
    case stop_reason::cancelled: {
        std::unique_lock lock(telling_);
        auto news = update("cancelled");
        lock.unlock();
        news.message = "Cancelled";
        return finish(row_state::cancelled, std::move(news), true, std::move(settled));
    }
    case stop_reason::shutdown: {
        std::lock_guard lock(telling_);
        ended_ = true;
        given_back_.store(true);
        core_.count().given_back.add();
        core_.store->give_back(owner_, {held()});
        return settled();
    }
    case stop_reason::time_limit:
        return fail(errc::timed_out,
                    fmt::format("the time limit of {} s has passed", *message_.soft_limit_s),
                    std::nullopt, std::move(settled));
    case stop_reason::lost: {
        std::lock_guard lock(telling_);
        ended_ = true;
        return settled();
    }
    case stop_reason::none: break;
    }
    // It says that it was stopped, but nobody asked it to: an error like any other.
    fail(errc::cancelled, why, std::nullopt, std::move(settled));
}

void running_job::end_failed(std::exception_ptr thrown, std::function<void()> settled) {
    const auto reason = stop_.load();
    if (reason == stop_reason::cancelled || reason == stop_reason::lost)
        return end_stopped({}, std::move(settled));
    try {
        std::rethrow_exception(thrown);
    } catch (const retry_later& later) {
        fail(later.code(), later.what(), later.delay(), std::move(settled));
    } catch (const carillon::error& known) {
        if (known.code() == errc::cancelled)
            end_stopped(known.what(), std::move(settled));
        else
            fail(known.code(), known.what(), std::nullopt, std::move(settled));
    } catch (const std::exception& other) {
        fail(errc::internal, other.what(), std::nullopt, std::move(settled));
    } catch (...) {
        const auto* type = abi::__cxa_current_exception_type();
        fail(errc::internal,
             fmt::format("the handler threw no std::exception but `{}`",
                         type ? type->name() : "something foreign"),
             std::nullopt, std::move(settled));
    }
}

void running_job::fail(errc code, const std::string& why,
                       std::optional<std::chrono::milliseconds> delay,
                       std::function<void()> settled) {
    const bool more_tries =
        job_.retries + 1 < static_cast<std::int64_t>(entry_.options.attempts_max);
    if (more_tries && !is_permanent(code)) {
        if (!delay)
            delay = retry_wait(entry_.options, job_.retries, random_part());
        return try_again(why, std::max(*delay, std::chrono::milliseconds{0}), std::move(settled));
    }
    std::unique_lock lock(telling_);
    auto news = update("failed");
    lock.unlock();
    news.error = cut_text(why, error_chars_max);
    news.message = cut_text(why, message_chars_max);
    finish(row_state::failed, std::move(news), true, std::move(settled));
}

void running_job::try_again(const std::string& why, std::chrono::milliseconds delay,
                            std::function<void()> settled) {
    auto next = message_;
    next.retries = job_.retries + 1;
    next.eta = utc_now() + delay;
    next.parent_id = job_.id;
    auto encoded = wire::celery::encode(next);
    CARILLON_ASSERT(encoded.has_value(), "a message that was read can be written");
    std::unique_lock lock(telling_);
    auto news = update("in_progress");
    news.error = cut_text(why, error_chars_max);
    news.message = cut_text(fmt::format("Failed: {}. Tried again in {:.1f} s", why,
                                        static_cast<double>(delay.count()) / 1e3),
                            message_chars_max);
    ended_ = true;
    core_.tell_observer(entry_.options, news);
    log_.warning("a job failed and will be tried again",
                 {{"attempt", attempt_}, {"error", news.error}, {"delay_ms", delay.count()}});
    run_end end;
    end.job = held();
    lock.unlock();
    end.owner = owner_;
    end.state = row_state::delayed;
    end.progress = news.progress;
    end.message = news.message;
    end.error = news.error;
    end.eta = next.eta;
    end.headers = std::move(encoded->headers);
    write(std::move(end), std::move(news), std::move(settled));
}

void running_job::finish(row_state state, job_update news, bool ran,
                         std::function<void()> settled) {
    std::unique_lock lock(telling_);
    ended_ = true;
    news.final = true;
    const bool told = core_.tell_observer(entry_.options, news);
    run_end end;
    end.job = held();
    lock.unlock();
    const bool more_tries =
        job_.retries + 1 < static_cast<std::int64_t>(entry_.options.attempts_max);
    if (!told && more_tries && ran)
        return try_again("the end of the job could not be recorded",
                         retry_wait(entry_.options, job_.retries, random_part()),
                         std::move(settled));
    end.owner = owner_;
    end.state = state;
    end.ran = ran;
    end.progress = news.progress;
    end.message = news.message;
    end.error = news.error;
    if (state == row_state::completed)
        end.result_json = to_json(news.result);
    if (state == row_state::failed)
        log_.warning("a job failed", {{"attempt", attempt_}, {"error", news.error}});
    write(std::move(end), std::move(news), std::move(settled));
}

void running_job::write(run_end end, job_update news, std::function<void()> settled) {
    const auto state = end.state;
    core_.store->end_run(std::move(end),
                         [&core = core_, state, news = std::move(news), group = job_.group,
                          type = job_.event_type, settled = std::move(settled)](bool held) {
                             if (held) {
                                 auto& count = core.count();
                                 auto& counted = state == row_state::completed ? count.succeeded
                                                 : state == row_state::failed  ? count.failed
                                                 : state == row_state::delayed ? count.retried
                                                                               : count.cancelled;
                                 counted.add();
                                 core.tell_group(group, type, news);
                             }
                             settled();
                         });
}

void running_job::settle_unrun(row_state state, std::string message,
                               std::function<void()> settled) {
    std::unique_lock lock(telling_);
    auto news = update(state == row_state::failed ? "failed" : "cancelled");
    lock.unlock();
    news.attempt = static_cast<std::uint32_t>(job_.attempts - (job_.counted ? 1 : 0));
    if (state == row_state::failed)
        news.error = message;
    news.message = std::move(message);
    finish(state, std::move(news), false, std::move(settled));
}

} // namespace carillon::jobs
