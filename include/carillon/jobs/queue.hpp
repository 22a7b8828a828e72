// job_queue: the queue of jobs, which any number of processes share: in the data folder, or in a message broker that
// Celery's workers and clients may use, too.
//
// A job is Celery's protocol 2 message. Delivery is at least once: a job is acknowledged after it ran, and
// the job of a worker that died runs again (docs/jobs.md says what is promised). Functions that return a result block
// until the disk or the broker has answered and belong on worker or pool threads; those with a callback return at once
// and may be called on a shard. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/result.hpp>
#include <carillon/channels/channel_layer.hpp>
#include <carillon/jobs/job.hpp>
#include <carillon/jobs/registry.hpp>
#include <carillon/jobs/workflow.hpp>

namespace carillon {

namespace jobs {
class queue_core;
}

struct job_queue_options {
    std::filesystem::path data_dir; // holds queue.db and workers/; not used with a broker
    // amqp://, amqps://, redis://, rediss:// and their kin: the queue is in that broker. Empty: in the data folder.
    std::string broker;
    // Where a broker's workers leave results: redis:// and its kin, rpc:// (only the sender hears), none:. Empty: the
    // broker where it is Redis, else rpc://.
    std::string results;
    // How long enqueue() waits for a broker that is away or takes nothing, before it fails with errc::unavailable.
    std::chrono::milliseconds enqueue_timeout{10'000};
    std::chrono::seconds results_expire{86'400}; // Celery's result_expires
    // Celery's setting of that name, which must be the same on both sides: how long a Redis broker waits for a worker
    // that is silent.
    std::chrono::seconds visibility_timeout{3'600};
    std::string keyprefix; // of the broker's names in Redis: Celery's global_keyprefix
    // The same of results, which Celery sets apart. `_` is added unless it ends in `:`, `_`, `-` or `.`.
    std::string results_keyprefix;
    // RabbitMQ: of the queues that this process declares; those that exist stay as they are. Quorum queues have no
    // priorities. Zero: no priorities; else Celery's task_queue_max_priority, 1 to 255.
    bool quorum_queues = false;
    std::uint32_t queue_max_priority = 0;
    std::chrono::milliseconds poll_interval{50}; // how soon the work of other processes is noticed
    std::chrono::seconds keep_finished{7 * 86'400}; // how long finished jobs can be asked for
    std::size_t message_bytes_max = 1 << 20;        // arguments, encoded: errc::too_large above
    std::size_t result_bytes_max = 1 << 20;         // a larger result fails the job
    // So many jobs of a queue run at once, over all workers of the queue as far as with concurrency_max. Every process
    // with workers is to say the same.
    std::map<std::string, std::uint32_t> queue_limits;
    // Jobs not finished, as far as is known here: errc::too_many_requests above.
    std::size_t waiting_max = 1'000'000;
};

// What the queue works with. The registry, layer, log and metrics outlive the queue.
struct job_services {
    const job_registry& registry;
    channel_layer* layer = nullptr; // null: groups hear nothing
    logger* log = nullptr;          // null: silent
    metrics* counters = nullptr;    // null: counted nowhere
};

struct enqueue_options {
    std::string id;    // a fresh UUID when empty; errc::conflict when it exists
    std::string queue; // that of the registered task when empty
    std::chrono::milliseconds countdown{0}; // not before this time has passed
    std::optional<utc_time> eta;            // or not before this moment
    std::optional<utc_time> expires;        // not after this moment: it is cancelled instead
    // 0 to 9. The larger goes first, but with Celery's Redis transport the smaller does.
    std::int32_t priority = 0;
    // While a job with this key waits or runs, a further one is not added: its enqueue gives the id of the one that is
    // there. At most 255 characters. Brokers: where results are in Redis, and for a day at most.
    std::string unique_key;
    // Jobs with the same key share the places of a concurrency limit: this one begins only while fewer than
    // concurrency_max of them run. Empty: the name of the task. At most 255 characters. A key without a limit, here or
    // of the task, is errc::invalid. A job that waits for a place holds no thread and stops nobody behind it.
    std::string concurrency_key;
    std::uint32_t concurrency_max = 0; // at most 1,000,000. Zero: its task's
    // Of this job rather than its task's. Zero: its task's.
    std::chrono::milliseconds soft_time_limit{0}, hard_time_limit{0};
    bool ignore_result = false; // brokers: nobody asks for the result, so none is stored
    std::string group;          // the channel-layer group that hears of it
    std::string event_type = "progress_update"; // with members progress, status, message, attempt
};

// What was sent of a call.
struct sent_call {
    // Whose record is that of the whole: the last step, what follows a group; of a bare group its id.
    std::string id;
    std::vector<std::string> members; // of a bare group: the ids of the calls in it
};

struct job_filter {
    std::optional<job_state> state;
    std::string task, queue;   // empty: any
    std::uint32_t limit = 100; // 1 to 1,000
    std::uint32_t offset = 0;
};

// One worker that is there, as `inspect` shows it.
struct worker_info {
    std::string id;   // of this run of the worker
    std::string name; // as given with -n
    std::int64_t pid = 0;
    std::uint32_t threads = 0;
    std::vector<std::string> queues;
    std::vector<std::string> registered; // names of tasks
    std::uint64_t processed = 0;         // jobs that ended since it started
    utc_time started;
    utc_time heartbeat;
    bool answering = false; // it lives, and its heartbeat is not older than its lease
};

struct queue_info {
    std::string name;
    std::uint64_t waiting = 0; // may start now
    std::uint64_t delayed = 0; // wait for their time
    std::uint64_t running = 0;
    std::uint64_t completed = 0, failed = 0, cancelled = 0; // still kept
};

class job_queue {
public:
    // Opens or creates `data_dir`/queue.db; the folder is created with mode 0700 when it is not there. Or connects to
    // the broker, which may be away: it is tried until it answers. errc::invalid for a malformed URL.
    static result<std::unique_ptr<job_queue>> open(job_queue_options options,
                                                   job_services services);
    // Workers are stopped before. Waits until everything accepted is on disk.
    ~job_queue();

    // Adds a job and gives its id once it is on disk, or the broker has confirmed it. errc::invalid for an option out
    // of its range, errc::conflict, errc::too_large, errc::too_many_requests, errc::unavailable. Where the queue is in
    // the data folder, errc::not_found for a task that is not registered; with a broker it may be another program's.
    result<std::string> enqueue(std::string_view task, job_arguments arguments,
                                enqueue_options options = {});
    using receipt = std::function<void(result<std::string> id)>;
    // The same without waiting. `done` is called once, possibly before this returns, on a thread of the queue: it must
    // not block.
    void enqueue(std::string_view task, job_arguments arguments, enqueue_options options,
                 receipt done);

    // Sends a workflow: chains, groups and what follows them. Errors as above, errc::bad_request where the call is
    // malformed.
    result<sent_call> enqueue(const call& workflow);

    // Asks a job to stop. True when it was not finished: a waiting job is cancelled when this returns, a running one
    // hears of it within poll_interval and ends when its handler leaves. False when it was finished. errc::not_found.
    result<bool> cancel(std::string_view id);
    // Puts a finished job that failed or was cancelled back into its queue, with its counts at zero. False when it is
    // in another state. errc::not_found; with a broker errc::method_not_allowed.
    result<bool> retry(std::string_view id);

    // Nothing when there is no such job, or it was finished longer ago than keep_finished.
    result<std::optional<job_record>> get(std::string_view id);
    // Newest first. With a broker errc::method_not_allowed.
    result<std::vector<job_record>> list(const job_filter& filter = {});
    // Waits until the job is finished. errc::timed_out at the deadline, errc::not_found.
    result<job_record> wait(std::string_view id, steady_time deadline);

    result<std::vector<worker_info>> workers();
    result<std::vector<queue_info>> queues();

    // For readiness checks: the store answers, workers here are able to take work, and not more than half of their
    // threads are stuck in handlers that passed their hard time limit.
    result<void> ping();

    // Of the library itself: what worker_pool works on, and a queue on a store of its own.
    static std::unique_ptr<job_queue> over(std::shared_ptr<jobs::queue_core> core);
    const std::shared_ptr<jobs::queue_core>& core() const noexcept { return core_; }

private:
    explicit job_queue(std::shared_ptr<jobs::queue_core> core);
    std::shared_ptr<jobs::queue_core> core_;
};

} // namespace carillon
