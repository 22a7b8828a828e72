// broker_store: jobs that live in a message broker and report to a result store, as Celery's do.
//
// A delivery stays unacknowledged until its job has ended and everything that follows from the end is safe: the calls
// that it makes, its result, its part of a chord. What the connection loses comes again; a run that goes on meanwhile
// is joined to its redelivered message where that comes back to this process, so that it does not run twice here.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "jobs/broker/broker.hpp"
#include "jobs/broker/concurrency_lanes.hpp"
#include "jobs/broker/held_messages.hpp"
#include "jobs/broker/ledger.hpp"
#include "jobs/broker/prefetch.hpp"
#include "jobs/broker/result_store.hpp"
#include "jobs/broker/sequence.hpp"
#include "jobs/broker_store_options.hpp"
#include "jobs/control/event_sender.hpp"
#include "jobs/control/newest_ids.hpp"
#include "jobs/job_store.hpp"
#include "wire/celery/signature.hpp"
#include <carillon/jobs/registry.hpp>

namespace carillon::jobs {

// The registry, log and metrics outlive it.
class broker_store final : public job_store, private broker_events {
public:
    // Starts the broker.
    broker_store(broker_store_options options, std::unique_ptr<broker> through,
                 std::unique_ptr<result_store> results, const job_registry& registry, logger& log,
                 metrics& counted, std::unique_ptr<ledger> permits = make_local_ledger());
    // Ends what is under way: jobs that have not ended come again elsewhere.
    ~broker_store() override;

    void add(new_job job, std::function<void(const result<std::string>& id)> done) override;
    void send(const wire::celery::signature& workflow,
              std::function<void(const result<wire::celery::result_tuple>&)> done) override;
    // Broadcasts a revocation with termination. The record is what the result store knows; a job that it does not know
    // is taken for waiting.
    result<std::optional<job_record>> request_cancel(std::string_view id) override;
    // Always false: the worker that meets the message settles it.
    result<bool> settle_cancelled(std::string_view id, const std::string& message) override;
    // errc::method_not_allowed: a broker keeps no job that has ended.
    result<std::optional<bool>> requeue(std::string_view id) override;

    result<std::vector<claimed_job>> claim(std::int64_t owner, std::span<const std::string> queues,
                                           std::uint32_t now_max, std::uint32_t ahead_max) override;
    bool begin_run(std::int64_t seq, std::int64_t owner) override;
    void note_started(std::int64_t, std::int64_t) override {}
    void note_progress(std::int64_t seq, std::int64_t owner, std::int64_t progress,
                       std::string message) override;
    void end_run(run_end end, std::function<void(bool held)> done) override;
    void give_back(std::int64_t owner, std::vector<held_job> jobs) override;
    // They wait in the broker's store.
    void postpone(std::int64_t owner, std::vector<put_off> jobs) override;

    result<std::int64_t> add_worker(const worker_info& worker,
                                    std::chrono::milliseconds lease) override;
    void serve(std::int64_t owner, std::vector<std::string> queues) override;
    void rest(std::int64_t owner) override;
    result<bool> heartbeat(std::int64_t owner, std::uint64_t processed) override;
    // The broker returns the jobs of dead workers by itself: 0.
    result<std::int64_t> tend(std::int64_t owner) override;
    // Ends of this worker that are not stored yet are given up: those jobs come again.
    result<void> remove_worker(std::int64_t owner, const std::string& why) override;
    // Those of this process.
    result<std::vector<worker_info>> workers() override;
    void leave() override { broker_->leave(); }

    // What the result store knows, and of jobs that this process sent that they wait.
    result<std::optional<job_record>> get(std::string_view id) override;
    // An id that nobody knows may belong to a job that waits: errc::timed_out.
    result<job_record> wait(std::string_view id, steady_time deadline) override;
    // errc::method_not_allowed: a broker cannot be searched.
    result<std::vector<job_record>> list(const job_filter& filter) override;
    result<std::vector<queue_info>> queues() override;
    result<std::optional<utc_time>> next_eta() override;
    result<std::vector<std::int64_t>> cancelled_of(std::int64_t owner) override;
    depth unfinished() const override;
    std::size_t pending() const override;
    result<void> ping() override;
    std::uint64_t subscribe(listener heard) override;
    void unsubscribe(std::uint64_t subscription) override;

    // --- remote control
    // Jobs with these ids do not begin any more; those that run are stopped where `terminate` is set.
    void revoke(const std::vector<std::string>& ids, bool terminate);
    // The same of those that are here; the ids were added to revoked().
    void stop_jobs(const std::vector<std::string>& ids, bool terminate);
    newest_ids& revoked() noexcept { return revoked_; }
    // The earliest of those that wait here for their time.
    std::vector<held_messages::waiting> scheduled(std::size_t count) const;
    // Whoever makes this process a node of remote control. Its functions are called on the broker's thread, quickly;
    // `events` hears what happens to jobs, on any thread.
    struct node_ears {
        std::function<void(wire::celery::message_parts)> control;
        event_sender* events = nullptr; // null: nobody
    };
    // Without `control` the store follows revocations by itself. Once it returns the ones before are not called any
    // more.
    void set_ears(node_ears ears);
    broker& through() noexcept { return *broker_; }

private:
    // Whether a delivery may begin as far as the ledger is concerned.
    enum class permission : std::uint8_t { none, wanted, asked, given }; // none: it needs none
    // A delivery that a worker may take, has taken or has run.
    struct delivered {
        std::uint64_t tag = 0;  // 0: the connection that delivered it is lost
        std::int64_t owner = 0; // 0: nobody has taken it yet
        shared_message message; // null: unreadable, and `known` says what could be read
        wire::celery::message_identity known;
        failure unreadable;
        std::string queue;
        bool begun = false, acknowledged = false, cancel = false, ending = false;
        steady_time since = now(), arrived = since;
        steady_time started{}; // its run
        permission permit = permission::none;
        run_request request;
        std::string lane; // what it has to wait for; empty: nothing
        std::int64_t losses = 0;
    };
    struct worker {
        worker_info shown;
        std::uint32_t wants = 0;
        bool resting = false, held_up = false;
        std::unordered_set<std::shared_ptr<sequence>> endings;
    };
    struct sent_job {
        std::string id, task, queue;
        utc_time created = utc_now();
        std::optional<wire::celery::result_record> last{};
        std::size_t bytes = 0; // of `last`, about
    };
    struct counters {
        counter &rejoined, &unacknowledged, &repeated, &delayed, &refused;
    };
    using action = std::function<void()>;
    // Ends of one worker that wait for the broker or the result store; with more it takes no new job.
    static constexpr std::size_t endings_max = 2'000;
    static void make_calls(const std::vector<action>& calls);
    // Calls `tell` with the sender, where somebody wants to hear of jobs.
    template <class F>
    void tell_events(F tell) const {
        std::shared_lock lock(ears_guard_);
        if (ears_.events && ears_.events->task_events())
            tell(*ears_.events);
    }
    static std::string run_name(const wire::celery::message& m);

    // --- what the broker tells
    void on_up() noexcept override;
    void on_down(const failure& why) noexcept override;
    void on_delivery(delivery received) noexcept override;
    void on_control(wire::celery::message_parts request) noexcept override;
    void obey(const wire::celery::message_parts& request);
    void on_reply(wire::celery::message_parts reply) noexcept override;

    // --- intake (broker_intake.cpp)
    // `calls` are to be made once guard_ is free.
    void take_in();
    void sort_in(const delivery& received, std::unique_ptr<delivered> read,
                 std::vector<action>& calls);
    bool rejoin(const delivery& received, const wire::celery::message& m,
                std::vector<action>& calls);
    void make_ready(std::unique_ptr<delivered> read, std::vector<action>& calls);
    void wake_due(std::vector<action>& calls);
    static std::unique_ptr<delivered> read(const delivery& received);

    // --- runs (broker_runs.cpp)
    claimed_job claimed(std::int64_t seq, const delivered& d) const;
    void adjust_prefetch(bool exact, std::vector<action>& calls);
    void hand_back_stuck(std::vector<action>& calls);
    void hand_back_all(std::vector<action>& calls);
    void changed();

    // --- permits (broker_permits.cpp)
    void see_permit(const delivery& received, delivered& d) const;
    static bool needs_permit(const delivered& d);
    void ask(std::int64_t seq, delivered& d, std::vector<action>& calls);
    void answered(std::int64_t seq, const run_request& request, const result<run_permit>& answer);
    void permitted(std::int64_t seq, delivered& d, const result<run_permit>& answer);
    void refused(std::int64_t seq, delivered& d, std::vector<action>& calls);
    void try_again(std::int64_t seq);
    void send_off(std::int64_t seq, std::vector<action>& calls);
    bool leave_permit(std::int64_t seq, const delivered& d, bool ended);
    void ask_for_idle_lanes(std::vector<action>& calls);
    std::vector<run_request> held_permits() const;

    // --- ends (broker_ending.cpp)
    struct ending;
    using shared_ending = std::shared_ptr<ending>;
    std::deque<sequence::step> steps_of(const shared_ending& e);
    void add_retried(const shared_ending& e, std::deque<sequence::step>& steps);
    void add_abandoned(const shared_ending& e, const wire::celery::abandoned_step& later,
                       std::deque<sequence::step>& steps);
    sequence::step plan_step(wire::celery::plan what);
    sequence::step record_step(wire::celery::result_record what, const wire::celery::message* of);
    sequence::step chord_step(const shared_ending& e, shared_message last,
                              wire::celery::chord_part part);
    std::vector<sequence::step> chord_end(const wire::celery::message& last,
                                          const std::vector<std::string>& members);
    sequence::verdict judge(const failure& why, const ending& e);
    void settle(const shared_ending& e, bool completed);
    void tell_end(const ending& e) const;
    wire::celery::sending sending_now();
    wire::celery::sending sending_after(const wire::celery::message& m);

    // --- sending
    void publish(std::string queue, const wire::celery::message& m, broker::told done);
    void publish_remembered(std::shared_ptr<new_job> job,
                            std::function<void(const result<std::string>&)> done);
    void forget_sent(const std::string& id);
    std::string route(const wire::celery::outgoing& o) const;
    // Remembers what is about to be sent, and watches its result where that comes only once.
    void remember(const wire::celery::message& m, const std::string& queue, broker::told ready);
    std::vector<std::string> keep_reply(sent_job& sent, const wire::celery::result_record& record);
    void hear_record(const std::string& id, const wire::celery::result_record& record);
    job_record record_of(const wire::celery::result_record& r, const sent_job* sent) const;
    void open_watch(const std::string& id);
    void close_watch(const std::string& id);
    void keep_house();

    const broker_store_options options_;
    const job_registry& registry_;
    const std::string self_;   // this process among the holders of places
    const std::string origin_; // what this process calls itself in messages
    logger& log_;
    counters count_;

    std::mutex inbox_guard_;
    std::vector<delivery> inbox_;
    std::uint64_t connections_ = 0; // how many were lost; also under guard_

    // Never held while the broker, the result store or a listener is called.
    mutable std::mutex guard_;
    std::condition_variable wake_;  // for the housekeeper
    std::condition_variable heard_; // for those who wait for a record
    std::map<std::int64_t, worker> workers_;
    std::int64_t last_owner_ = 0, last_seq_ = 0;
    std::unordered_map<std::int64_t, std::unique_ptr<delivered>> out_;
    std::deque<std::int64_t> ready_;
    held_messages held_;
    concurrency_lanes lanes_;
    std::size_t asking_ = 0;    // of the ledger, without an answer
    std::int64_t sent_off_ = 0; // in a row, since the lanes were full
    std::int64_t lost_ = 0;     // runs that never ended, heard of since the last tend()
    bool ledger_good_ = true;   // it answered the last time
    newest_ids revoked_, ended_;
    std::unordered_map<std::string, std::int64_t> orphans_; // runs whose connection is lost, by id
    std::uint32_t prefetch_ = 0;
    std::vector<std::string> consumed_;
    steady_time exact_until_{};
    std::vector<std::shared_ptr<sequence>> paused_;
    std::list<sent_job> sent_;    // the oldest first
    std::size_t reply_bytes_ = 0; // of their records
    std::unordered_map<std::string, std::list<sent_job>::iterator> sent_by_id_;
    struct watch {
        std::size_t waiters = 0;
        std::optional<wire::celery::result_record> last;
        std::optional<failure> refused;
    };
    std::unordered_map<std::string, watch> watches_; // of those who wait
    std::mutex watching_guard_; // so that watch() and forget() keep their order
    depth depth_;
    std::size_t under_way_ = 0;
    steady_time heard_good_ = now(), results_good_ = now(), tended_ = now();
    std::optional<steady_time> asked_; // a look at the queues that the broker has not answered
    std::atomic<bool> closing_{false};
    bool was_up_ = false;  // the broker has been there
    bool replies_ = false; // results come as replies, once; set by the constructor

    mutable std::shared_mutex ears_guard_; // shared while they are called, perhaps with guard_
    node_ears ears_;

    std::mutex listeners_guard_; // held while listeners run
    std::vector<std::pair<std::uint64_t, listener>> listeners_;
    std::uint64_t subscriptions_ = 0;

    std::unique_ptr<ledger> ledger_;
    std::unique_ptr<broker> broker_;
    std::mutex replies_guard_;              // held while a reply is passed on
    std::unique_ptr<result_store> results_; // may work through the broker: goes first
    std::thread housekeeper_;
};

} // namespace carillon::jobs
