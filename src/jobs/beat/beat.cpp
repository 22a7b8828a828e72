#include "jobs/beat/beat.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace carillon::jobs {

namespace {

constexpr std::size_t name_bytes_max = 200;

result<void> check(const schedule_entry& e) {
    const auto wrong = [&](std::string_view what) {
        return failure{errc::invalid,
                       fmt::format("schedule entry \"{}\": {}", e.name.substr(0, 50), what)};
    };
    if (e.name.empty() || e.name.size() > name_bytes_max)
        return wrong("its name has 1 to 200 bytes");
    if (std::any_of(e.name.begin(), e.name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return wrong("its name holds control characters");
    if (e.task.empty())
        return wrong("it has no task");
    if (!e.options.id.empty() || e.options.eta || e.options.expires ||
        e.options.countdown.count() != 0)
        return wrong("id, countdown, eta and expires belong to one job");
    if (e.expires_after.count() < 0)
        return wrong("expires_after is negative");
    return {};
}

// Of these a later try may come to another end.
bool may_pass(errc code) noexcept {
    return code == errc::unavailable || code == errc::timed_out ||
           code == errc::too_many_requests || code == errc::cancelled || code == errc::internal;
}

} // namespace

enqueue_function enqueue_into(job_queue& queue) {
    return [&queue](const schedule_entry& entry, enqueue_options options) {
        return queue.enqueue(entry.task, entry.arguments, std::move(options));
    };
}

result<std::unique_ptr<beat>> beat::make(std::vector<schedule_entry> entries,
                                         std::unique_ptr<slot_store> slots,
                                         enqueue_function enqueue, beat_options options,
                                         logger& log, metrics& counted) {
    std::set<std::string_view> names;
    for (const auto& e : entries) {
        if (auto good = check(e); !good)
            return good.error();
        if (!names.insert(e.name).second)
            return failure{errc::invalid,
                           fmt::format("two schedule entries are named \"{}\"", e.name)};
    }
    return std::unique_ptr<beat>(
        new beat(std::move(entries), std::move(slots), std::move(enqueue), options, log, counted));
}

beat::beat(std::vector<schedule_entry> entries, std::unique_ptr<slot_store> slots,
           enqueue_function enqueue, beat_options options, logger& log, metrics& counted)
    : slots_(std::move(slots)), enqueue_(std::move(enqueue)), options_(options), log_(log),
      sent_(counted.add(metric_kind::counter, "carillon_beat_jobs_total",
                        "Jobs that schedules have enqueued.")),
      skipped_(counted.add(metric_kind::counter, "carillon_beat_refused_total",
                           "Moments of schedules whose job the queue refused for good.")) {
    for (auto& e : entries)
        states_.push_back({std::move(e), {}, {}, false});
}

beat::~beat() { stop(); }

void beat::start() {
    thread_ = std::thread([this] { run(); });
}

void beat::stop() {
    {
        std::lock_guard lock(guard_);
        stopping_ = true;
        wake_.notify_all();
    }
    if (thread_.joinable())
        thread_.join();
}

void beat::run() {
    std::unique_lock lock(guard_);
    while (!stopping_) {
        lock.unlock();
        const auto next = step(utc_now());
        lock.lock();
        wake_.wait_until(lock, next, [this] { return stopping_; });
    }
}

utc_time beat::step(utc_time at) {
    auto next = at + options_.sleep_max;
    for (auto& s : states_)
        if (const auto due = look_at(s, at))
            next = std::min(next, *due);
    return next;
}

// When this entry wants to be looked at again.
std::optional<utc_time> beat::look_at(state& s, utc_time at) {
    if (s.not_before > at && s.not_before <= at + options_.retry)
        return s.not_before;
    if (!s.served) {
        auto known = slots_->position(s.entry.name, at);
        if (!known) {
            note(s, known.error(), at);
            return s.not_before;
        }
        s.served = *known;
    }
    if (const auto slot = s.entry.when.last(*s.served, at)) {
        const auto outcome = serve(s, *slot, at);
        note(s, outcome, at);
        if (!outcome || !*outcome)
            return s.not_before;
        s.served = slot;
    }
    return s.entry.when.next(std::max(*s.served, at));
}

// False while another beat has it.
result<bool> beat::serve(state& s, utc_time slot, utc_time at) {
    const auto claimed = slots_->claim(s.entry.name, slot, options_.lease);
    if (!claimed)
        return claimed.error();
    if (*claimed != slot_claim::granted)
        return *claimed == slot_claim::served;
    if (auto added = add(s.entry, slot, at); !added)
        return added.error();
    if (auto confirmed = slots_->confirm(s.entry.name, slot); !confirmed)
        return confirmed.error();
    return true;
}

result<void> beat::add(const schedule_entry& entry, utc_time slot, utc_time at) {
    auto options = entry.options;
    options.id = fmt::format("{}@{}", entry.name, to_iso8601(slot));
    if (entry.expires_after.count() > 0)
        options.expires = at + entry.expires_after;
    const auto added = enqueue_(entry, std::move(options));
    if (added) {
        sent_.add();
        log_.info("a schedule has enqueued its job",
                  {{"entry", entry.name}, {"task", entry.task}, {"id", *added}});
        return {};
    }
    if (added.error().code == errc::conflict) // it was added before, by a beat that died then
        return {};
    if (may_pass(added.error().code))
        return added.error();
    skipped_.add();
    log_.error("the job of a schedule was refused; it is left out this time",
               {{"entry", entry.name}, {"task", entry.task}, {"why", added.error().message}});
    return {};
}

void beat::note(state& s, const result<bool>& outcome, utc_time at) {
    if (!outcome || !*outcome)
        s.not_before = at + options_.retry;
    if (!outcome && !s.failing)
        log_.warning("a schedule cannot be served now, and is tried again",
                     {{"entry", s.entry.name}, {"why", outcome.error().message}});
    if (outcome && s.failing)
        log_.info("a schedule is served again", {{"entry", s.entry.name}});
    s.failing = !outcome;
}

} // namespace carillon::jobs
