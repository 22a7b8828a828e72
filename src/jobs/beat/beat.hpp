// beat: enqueues the jobs of schedules when they are due.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/jobs/queue.hpp>
#include <carillon/jobs/schedule.hpp>

#include "jobs/beat/slot_store.hpp"
#include "jobs/pulse.hpp"

namespace carillon::jobs {

struct beat_options {
    // How long a moment is this beat's before another one may serve it.
    std::chrono::milliseconds lease{30'000};
    std::chrono::milliseconds retry{1'000};     // after a failure
    std::chrono::milliseconds late_max{10'000}; // older moments are missed
    // So that a clock that was set is noticed, a store that is away, and what other beats have abandoned.
    std::chrono::milliseconds sleep_max{5'000};
    std::chrono::milliseconds deaf_after{15'000}; // ping() fails after so long
    // When it stops: how long the queue may take what is being enqueued, and the store the note of it.
    std::chrono::milliseconds stop_patience{250};
};

// Adds a job, and tells when it is safe, perhaps after the beat is gone. As job_queue::enqueue().
using enqueue_function = std::function<void(const schedule_entry& entry, enqueue_options options,
                                            job_queue::receipt done)>;

// errc::invalid for an entry without task, with a name that is empty, too long or not printable, or with options that
// belong to one job alone.
result<void> check_entry(const schedule_entry& entry);

// Into that queue, which outlives the function.
enqueue_function enqueue_into(job_queue& queue);

// Several beats over one slot_store serve each moment once. One that was missed, because no beat ran or the store or
// the queue was away, is made up for; of several that are older than late_max only the last. One that a beat claimed
// and did not note as served, because it died, stood still or lost the store for longer than the lease, is served by
// another with the same id: the embedded queue refuses what it has already, a broker does not.
class beat {
public:
    // errc::invalid as check_entry(), and for a name that is given twice.
    static result<std::unique_ptr<beat>> make(std::vector<schedule_entry> entries,
                                              std::unique_ptr<slot_store> slots,
                                              enqueue_function enqueue, beat_options options,
                                              logger& log, metrics& counted);
    ~beat(); // as stop()

    // The log tells what each entry sends next.
    void start();
    // Finishes what is being enqueued. What the queue does not take within stop_patience is given up: its moment is not
    // noted, so that the next beat serves it. It may still arrive, and is there twice then, with one id.
    void stop();

    // For readiness checks, any thread: fails when schedules could not be served for deaf_after, since the store or the
    // queue is away, or when nobody looks at them. The queue is asked only for what is due.
    result<void> ping() const;

    // What start() does again and again: serves all that is due at that time, and gives when to look again. For tests
    // with a clock of their own; not after start().
    utc_time step(utc_time at);

private:
    struct state {
        schedule_entry entry;
        std::optional<utc_time> served;
        std::optional<utc_time> unnoted; // enqueued, and the store does not know that yet
        utc_time not_before{};           // after a failure
        bool failing = false;
        bool ahead = false; // what was served last lies in the future
    };
    beat(std::vector<schedule_entry> entries, std::unique_ptr<slot_store> slots,
         enqueue_function enqueue, beat_options options, logger& log, metrics& counted);
    void run();
    bool stopping();
    void give_up_sending();
    std::optional<utc_time> look_at(state& s, utc_time at);
    result<void> catch_up(state& s, utc_time at);
    std::optional<utc_time> due(const state& s, utc_time at) const;
    result<bool> serve(state& s, utc_time slot, utc_time at);
    result<void> add(state& s, utc_time slot, utc_time at);
    result<std::string> send(const schedule_entry& entry, const enqueue_options& options);
    result<void> note_served(state& s);
    bool take_over(utc_time at);
    void tell(state& s, const result<void>& outcome, utc_time at);
    void tell_ahead(state& s, utc_time at);

    std::vector<state> states_;
    const std::unique_ptr<slot_store> slots_;
    const enqueue_function enqueue_;
    const beat_options options_;
    pulse pulse_;
    logger& log_;
    counter& sent_;
    counter& skipped_;
    counter& taken_over_;
    utc_time looked_for_abandoned_{};
    bool queue_away_ = false; // as found in this step: others are not tried

    std::mutex guard_;
    std::condition_variable wake_;
    std::condition_variable ended_;
    bool stopping_ = false, running_ = false, given_up_ = false;
    std::function<void(const result<std::string>&)> sending_; // ends the wait for the queue
    std::thread thread_;
};

} // namespace carillon::jobs
