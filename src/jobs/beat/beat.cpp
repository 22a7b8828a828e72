#include "jobs/beat/beat.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "jobs/awaited.hpp"

namespace carillon::jobs {

namespace {

constexpr std::size_t name_bytes_max = 200;

} // namespace

result<void> check_entry(const schedule_entry& e) {
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

namespace {

// Seconds between the clocks of beats are no reason to warn.
constexpr std::chrono::minutes clock_tolerance{1};

bool is_away(errc code) noexcept { return code == errc::unavailable || code == errc::timed_out; }

// Of these a later try may come to another end.
bool may_pass(errc code) noexcept {
    return is_away(code) || code == errc::too_many_requests || code == errc::cancelled ||
           code == errc::internal;
}

} // namespace

enqueue_function enqueue_into(job_queue& queue) {
    return [&queue](const schedule_entry& entry, enqueue_options options, job_queue::receipt done) {
        queue.enqueue(entry.task, entry.arguments, std::move(options), std::move(done));
    };
}

result<std::unique_ptr<beat>> beat::make(std::vector<schedule_entry> entries,
                                         std::unique_ptr<slot_store> slots,
                                         enqueue_function enqueue, beat_options options,
                                         logger& log, metrics& counted) {
    std::set<std::string_view> names;
    for (const auto& e : entries) {
        if (auto good = check_entry(e); !good)
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
    : slots_(std::move(slots)), enqueue_(std::move(enqueue)), options_(options),
      pulse_({options.deaf_after, options.sleep_max + options.deaf_after}), log_(log),
      sent_(counted.add(metric_kind::counter, "carillon_beat_jobs_total",
                        "Jobs that schedules have enqueued.")),
      skipped_(counted.add(metric_kind::counter, "carillon_beat_refused_total",
                           "Moments of schedules whose job the queue refused for good.")),
      taken_over_(
          counted.add(metric_kind::counter, "carillon_beat_taken_over_total",
                      "Moments of schedules that another beat claimed and did not serve.")) {
    for (auto& e : entries)
        states_.push_back({std::move(e), {}, {}, {}, false, false});
}

beat::~beat() { stop(); }

void beat::start() {
    for (const auto& s : states_) {
        const auto next = s.entry.when.next(utc_now());
        log_.info("schedule", {{"entry", s.entry.name},
                               {"task", s.entry.task},
                               {"when", s.entry.when.text()},
                               {"next", next ? s.entry.when.shown(*next) : "never"}});
    }
    running_ = true;
    thread_ = std::thread([this] { run(); });
}

void beat::stop() {
    {
        std::unique_lock lock(guard_);
        stopping_ = true;
        wake_.notify_all();
        const auto ended = [this] { return !running_; };
        if (!ended_.wait_for(lock, options_.stop_patience, ended)) {
            give_up_sending();
            if (!ended_.wait_for(lock, options_.stop_patience, ended)) {
                log_.warning("the store of what schedules have served does not answer and is "
                             "given up; what is not noted there is served again");
                slots_->give_up();
            }
        }
    }
    if (thread_.joinable())
        thread_.join();
}

// With guard_ held.
void beat::give_up_sending() {
    given_up_ = true;
    if (sending_)
        sending_(failure{errc::cancelled, "the beat stops, and the queue has not taken it"});
}

bool beat::stopping() {
    std::lock_guard lock(guard_);
    return stopping_;
}

void beat::run() {
    std::unique_lock lock(guard_);
    while (!stopping_) {
        lock.unlock();
        const auto next = step(utc_now());
        lock.lock();
        wake_.wait_until(lock, next, [this] { return stopping_; });
    }
    running_ = false;
    ended_.notify_all();
}

utc_time beat::step(utc_time at) {
    queue_away_ = false;
    bool well = take_over(at);
    auto next = at + (well ? options_.sleep_max : options_.retry);
    for (auto& s : states_)
        if (const auto due = look_at(s, at))
            next = std::min(next, *due);
    for (const auto& s : states_)
        well = well && !s.failing;
    pulse_.end_round(well);
    return next;
}

// When this entry wants to be looked at again.
std::optional<utc_time> beat::look_at(state& s, utc_time at) {
    if (s.not_before > at && s.not_before <= at + options_.retry)
        return s.not_before;
    if (queue_away_)
        return at + options_.retry;
    const auto outcome = catch_up(s, at);
    tell(s, outcome, at);
    if (!outcome)
        return s.not_before;
    tell_ahead(s, at);
    return s.entry.when.next(std::max(*s.served, at));
}

result<void> beat::catch_up(state& s, utc_time at) {
    if (s.unnoted)
        if (auto noted = note_served(s); !noted)
            return noted;
    if (!s.served) {
        auto known = slots_->position(s.entry.name, at);
        if (!known)
            return known.error();
        s.served = *known;
    }
    while (const auto slot = due(s, at)) {
        if (auto served = serve(s, *slot, at); !served)
            return served.error();
        s.served = slot;
    }
    return {};
}

// Each moment in turn while this beat is hardly late, as on a busy machine or after its restart; else the last.
std::optional<utc_time> beat::due(const state& s, utc_time at) const {
    const auto next = s.entry.when.next(*s.served);
    if (next && *next <= at && at - *next <= options_.late_max)
        return next;
    return s.entry.when.last(*s.served, at);
}

// False where nothing was left to do: it is served, or another beat has it.
result<bool> beat::serve(state& s, utc_time slot, utc_time at) {
    if (stopping())
        return failure{errc::cancelled, "the beat stops"};
    const auto claimed =
        slots_->claim(s.entry.name, slot, options_.lease, slot - options_.late_max);
    if (!claimed)
        return claimed.error();
    if (*claimed != slot_claim::granted)
        return false;
    if (auto added = add(s, slot, at); !added) {
        queue_away_ = is_away(added.error().code);
        // Where the store is away too, the claim runs out by itself.
        (void)slots_->release(s.entry.name, slot);
        return added.error();
    }
    s.unnoted = slot;
    auto noted = note_served(s);
    return noted ? result<bool>(true) : noted.error();
}

result<void> beat::note_served(state& s) {
    auto noted = slots_->confirm(s.entry.name, *s.unnoted);
    if (noted)
        s.unnoted.reset();
    return noted;
}

result<void> beat::add(state& s, utc_time slot, utc_time at) {
    const auto& entry = s.entry;
    auto options = entry.options;
    options.id = fmt::format("{}@{}", entry.name, to_iso8601(slot));
    if (entry.expires_after.count() > 0)
        options.expires = at + entry.expires_after;
    const auto added = send(entry, options);
    if (added) {
        sent_.add();
        const auto next = entry.when.next(std::max(slot, at));
        log_.info("a schedule has enqueued its job",
                  {{"entry", entry.name},
                   {"task", entry.task},
                   {"id", *added},
                   {"next", next ? entry.when.shown(*next) : "never"}});
        return {};
    }
    if (added.error().code == errc::conflict) // it was added before, by a beat that died then
        return {};
    if (added.error().code == errc::cancelled)
        log_.warning("the job of a schedule was given up: the queue did not take it before the "
                     "beat had to stop; the next beat enqueues it",
                     {{"entry", entry.name}, {"task", entry.task}, {"id", options.id}});
    if (may_pass(added.error().code))
        return added.error();
    skipped_.add();
    log_.error("the job of a schedule was refused; it is left out this time",
               {{"entry", entry.name}, {"task", entry.task}, {"why", added.error().message}});
    return {};
}

// Waits for the queue, until stop() has lost its patience.
result<std::string> beat::send(const schedule_entry& entry, const enqueue_options& options) {
    awaited<std::string> id;
    {
        std::lock_guard lock(guard_);
        if (given_up_)
            return failure{errc::cancelled, "the beat stops"};
        sending_ = id.teller();
    }
    enqueue_(entry, options, id.teller());
    auto added = id.wait();
    std::lock_guard lock(guard_);
    sending_ = nullptr;
    return added;
}

// Serves what beats have claimed that are gone. False when the store is away: looking at the entries, as far as they
// are due, finds the same, and tells the log.
bool beat::take_over(utc_time at) {
    const auto since = at - looked_for_abandoned_;
    if (since >= std::chrono::microseconds(0) &&
        since < std::min(options_.lease / 3, options_.sleep_max))
        return true;
    const auto found = slots_->abandoned();
    if (!found) {
        looked_for_abandoned_ = {};
        pulse_.note_trouble(found.error().message);
        return false;
    }
    looked_for_abandoned_ = at;
    for (const auto& [name, slot] : *found)
        for (auto& s : states_) {
            if (s.entry.name != name || s.unnoted || s.failing || queue_away_)
                continue;
            const auto served = serve(s, slot, at);
            tell(s, served ? result<void>() : served.error(), at);
            if (!served || !*served)
                continue;
            taken_over_.add();
            log_.warning("a moment that another beat claimed and did not serve is served",
                         {{"entry", name}, {"moment", to_iso8601(slot)}});
        }
    return true;
}

result<void> beat::ping() const {
    return pulse_.state("schedules cannot be served",
                        "the beat does not look at its schedules any more");
}

void beat::tell(state& s, const result<void>& outcome, utc_time at) {
    if (!outcome) {
        s.not_before = at + options_.retry;
        pulse_.note_trouble(outcome.error().message);
    }
    if (!outcome && !s.failing && outcome.error().code != errc::cancelled)
        log_.warning("a schedule cannot be served now, and is tried again",
                     {{"entry", s.entry.name}, {"why", outcome.error().message}});
    if (outcome && s.failing)
        log_.info("a schedule is served again", {{"entry", s.entry.name}});
    s.failing = !outcome;
}

void beat::tell_ahead(state& s, utc_time at) {
    const bool ahead = *s.served > at + clock_tolerance;
    if (ahead && !s.ahead)
        log_.warning("the clock is behind what was served last: nothing is sent until then",
                     {{"entry", s.entry.name}, {"served", to_iso8601(*s.served)}});
    s.ahead = ahead;
}

} // namespace carillon::jobs
