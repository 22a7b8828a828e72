// Sending, asking and watching: the part of broker_store that faces those who enqueue.
#include "jobs/broker_store.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <carillon/wire/json.hpp>

#include "base/uuid.hpp"
#include "jobs/awaited.hpp"
#include "jobs/worker_name.hpp"
#include "wire/celery/control.hpp"

namespace carillon::jobs {

namespace {

namespace celery = wire::celery;

constexpr std::string_view unique_header = "carillon_unique_key";

// Names of runs: an id, and the number of the try.
constexpr newest_ids::limits ended_limits{10'000, {}, celery::id_chars_max + 12};

// Of whoever asks before the broker was there for the first time.
constexpr std::chrono::seconds connect_patience{5};

failure no_such_function(std::string_view what) {
    return {errc::method_not_allowed, fmt::format("a message broker {}", what)};
}

// What it tells while it ends may come back to it: reset() would have cleared the pointer before.
template <class T>
void end(std::unique_ptr<T>& owned) {
    delete owned.get();
    static_cast<void>(owned.release());
}

counter& declare(metrics& m, std::string_view what, std::string_view help) {
    return m.add(metric_kind::counter, fmt::format("carillon_jobs_{}_total", what), help);
}

} // namespace

broker_store::broker_store(broker_store_options options, std::unique_ptr<broker> through,
                           std::unique_ptr<result_store> results, const job_registry& registry,
                           logger& log, metrics& counted, std::unique_ptr<ledger> permits)
    : options_(std::move(options)), registry_(registry), self_(make_uuid()), origin_(origin_name()),
      log_(log),
      count_{declare(counted, "rejoined",
                     "Redelivered messages of jobs that still ran here, joined to their runs"),
             declare(counted, "unacknowledged",
                     "Jobs that ended after their connection was lost; they may run again"),
             declare(counted, "repeated", "Redelivered messages of jobs that had ended here"),
             declare(counted, "put_off", "Messages handed to the broker's store until their time"),
             declare(counted, "refused", "Messages that nobody can be told about, rejected")},
      revoked_(options_.revoked), ended_(ended_limits), ledger_(std::move(permits)),
      broker_(std::move(through)), results_(std::move(results)) {
    replies_ = !results_->reply_to().empty();
    broker_->start(*this);
    housekeeper_ = std::thread([this] { keep_house(); });
}

broker_store::~broker_store() {
    closing_ = true;
    {
        std::lock_guard lock(guard_);
        wake_.notify_all();
        heard_.notify_all();
    }
    housekeeper_.join();
    std::vector<std::shared_ptr<sequence>> endings;
    {
        std::lock_guard lock(guard_);
        for (auto& [owner, each] : workers_)
            endings.insert(endings.end(), each.endings.begin(), each.endings.end());
    }
    for (const auto& each : endings)
        each->give_up();
    // Both tell what they still owe to this object, whose members must be there then.
    {
        std::lock_guard lock(replies_guard_);
        end(results_);
    }
    end(broker_);
    ledger_.reset(); // the last ends left their places
}

void broker_store::make_calls(const std::vector<action>& calls) {
    for (const auto& each : calls)
        each();
}

celery::sending broker_store::sending_now() {
    celery::sending s;
    s.when = utc_now();
    s.new_id = make_uuid;
    s.origin = origin_;
    s.reply_to = results_->reply_to();
    return s;
}

// What follows from a job answers to whoever waits for the job.
celery::sending broker_store::sending_after(const celery::message& m) {
    auto s = sending_now();
    s.reply_to = m.reply_to;
    return s;
}

void broker_store::publish(std::string queue, const celery::message& m, broker::told done) {
    auto parts = celery::encode_parts(m);
    if (!parts)
        return done(parts.error());
    if (parts->body.size() > options_.message_bytes_max)
        return done(
            failure{errc::too_large, fmt::format("the arguments of the job take {} bytes of {}",
                                                 parts->body.size(), options_.message_bytes_max)});
    if (m.eta && *m.eta > utc_now() + options_.hold_max)
        return broker_->publish_at(*m.eta, std::move(queue), *std::move(parts), std::move(done));
    broker_->publish(std::move(queue), *std::move(parts), std::move(done));
}

std::string broker_store::route(const celery::outgoing& o) const {
    if (!o.queue.empty())
        return o.queue;
    if (!o.routing_key.empty())
        return o.routing_key;
    const auto* entry = registry_.find(o.what.task);
    return entry ? entry->options.queue : options_.default_queue;
}

void broker_store::add(new_job job, std::function<void(const result<std::string>& id)> done) {
    auto sent = std::make_shared<new_job>(std::move(job));
    sent->message.reply_to = results_->reply_to();
    {
        std::lock_guard lock(guard_);
        ++under_way_;
    }
    auto told = [this, done = std::move(done)](const result<std::string>& id) {
        {
            std::lock_guard lock(guard_);
            --under_way_;
        }
        done(id);
    };
    if (sent->unique_key.empty())
        return publish_remembered(std::move(sent), std::move(told));
    sent->message.extra.append(std::string(unique_header), sent->unique_key);
    results_->claim_unique(sent->unique_key, sent->message.id, options_.unique_life,
                           [this, sent, told](const result<std::string>& holder) {
                               if (!holder || *holder != sent->message.id || closing_)
                                   return told(holder);
                               publish_remembered(sent, told);
                           });
}

void broker_store::publish_remembered(std::shared_ptr<new_job> job,
                                      std::function<void(const result<std::string>&)> done) {
    const auto& m = job->message;
    remember(m, job->queue, [this, job, done](const result<void>& watched) {
        const auto& message = job->message;
        if (!watched)
            return done(watched.error());
        publish(job->queue, message, [this, job, done](const result<void>& outcome) {
            if (outcome)
                return done(job->message.id);
            if (closing_)
                return done(outcome.error());
            forget_sent(job->message.id);
            if (!job->unique_key.empty())
                results_->release_unique(job->unique_key, job->message.id,
                                         [](const result<void>&) {});
            done(outcome.error());
        });
    });
}

void broker_store::send(const celery::signature& workflow,
                        std::function<void(const result<celery::result_tuple>&)> done) {
    auto planned = celery::send_signature(workflow, sending_now());
    if (!planned)
        return done(planned.error());
    auto what = std::make_shared<celery::plan>(*std::move(planned));
    // Not only the results of the messages: the last step of a chain has its id already.
    for (const auto& each : what->messages) {
        const auto ignore_outcome = [](const result<void>&) {};
        remember(each.what, route(each), ignore_outcome);
        for (const auto& later : celery::abandoned_steps(each.what)) {
            celery::message step;
            step.id = later.id;
            remember(step, {}, ignore_outcome);
        }
        if (const auto* chord = each.what.embed.find("chord"); chord && chord->is_object()) {
            celery::message body;
            body.id = (*chord)["options"]["task_id"].to_text();
            remember(body, {}, ignore_outcome);
        }
    }
    auto step = plan_step(*what);
    step([what, done = std::move(done)](const result<void>& outcome) {
        done(outcome ? result<celery::result_tuple>(what->children.front()) : outcome.error());
    });
}

// Replies come once: where they do, they are watched for from before the message is sent.
void broker_store::remember(const celery::message& m, const std::string& queue,
                            broker::told ready) {
    if (m.ignore_result.value_or(false))
        return ready({});
    std::vector<std::string> forgotten;
    {
        std::lock_guard lock(guard_);
        if (!sent_by_id_.contains(m.id)) {
            sent_.push_back({m.id, m.task, queue, utc_now(), {}});
            sent_by_id_.emplace(m.id, std::prev(sent_.end()));
        }
        while (sent_.size() > options_.sent_max) {
            reply_bytes_ -= sent_.front().bytes;
            forgotten.push_back(sent_.front().id);
            sent_by_id_.erase(sent_.front().id);
            sent_.pop_front();
        }
    }
    if (!replies_)
        return ready({});
    for (auto& each : forgotten)
        results_->forget(std::move(each));
    results_->watch(
        m.id, [this, id = m.id](const auto& heard) { hear_record(id, heard); }, std::move(ready));
}

void broker_store::forget_sent(const std::string& id) {
    {
        std::lock_guard lock(guard_);
        auto found = sent_by_id_.find(id);
        if (found == sent_by_id_.end())
            return;
        reply_bytes_ -= found->second->bytes;
        sent_.erase(found->second);
        sent_by_id_.erase(found);
    }
    if (replies_)
        results_->forget(id);
}

// With guard_ held. The newest replies, up to a number of bytes; gives the ids of those that had to go.
std::vector<std::string> broker_store::keep_reply(sent_job& sent,
                                                  const celery::result_record& record) {
    const auto bytes = to_json(record.outcome).size() + record.traceback.size();
    reply_bytes_ += bytes;
    reply_bytes_ -= std::exchange(sent.bytes, bytes);
    sent.last = record;
    std::vector<std::string> gone;
    while (reply_bytes_ > options_.reply_bytes_max && &sent_.front() != &sent) {
        auto& oldest = sent_.front();
        reply_bytes_ -= oldest.bytes;
        sent_by_id_.erase(oldest.id);
        gone.push_back(std::move(oldest.id));
        sent_.pop_front();
    }
    return gone;
}

void broker_store::hear_record(const std::string& id, const celery::result_record& record) {
    std::vector<std::string> done_with;
    {
        std::lock_guard lock(guard_);
        auto sent = sent_by_id_.find(id);
        // Where results are stored they are asked for again; replies come once.
        if (replies_ && sent != sent_by_id_.end()) {
            done_with = keep_reply(*sent->second, record);
            if (celery::is_final(record.status))
                done_with.push_back(id);
        }
        if (auto found = watches_.find(id); found != watches_.end())
            found->second.last = record;
        heard_.notify_all();
    }
    for (auto& each : done_with)
        results_->forget(std::move(each));
}

result<std::optional<job_record>> broker_store::request_cancel(std::string_view wanted) {
    const std::string id(wanted);
    auto before = get(id);
    if (!before)
        return before.error();
    if (*before && is_final((*before)->state))
        return before;
    // The record first: what a worker writes about the end that it makes of the job comes after it.
    celery::result_record record;
    record.task_id = id;
    record.status = celery::state::revoked;
    record.outcome = celery::to_value(celery::task_revoked("revoked"));
    record.date_done = utc_now();
    awaited<void> stored;
    results_->put(std::move(record), {}, {}, stored.teller());
    if (auto done = stored.wait(); !done)
        return done.error();
    celery::control_request request;
    request.method = "revoke";
    request.arguments.append("task_id", id);
    request.arguments.append("terminate", true);
    request.arguments.append("signal", "SIGTERM");
    broker_->emit(std::string(celery::pidbox_exchange), {}, celery::encode_request(request));
    revoke({id}, true);
    if (!*before) {
        job_record unknown;
        unknown.id = id;
        return std::optional<job_record>(std::move(unknown));
    }
    return before;
}

result<bool> broker_store::settle_cancelled(std::string_view, const std::string&) { return false; }

result<std::optional<bool>> broker_store::requeue(std::string_view) {
    return no_such_function("keeps no job that has ended: send it again");
}

result<std::vector<job_record>> broker_store::list(const job_filter&) {
    return no_such_function("cannot be searched for jobs");
}

result<std::vector<queue_info>> broker_store::queues() {
    std::vector<std::string> names;
    {
        std::unique_lock lock(guard_);
        heard_.wait_for(lock, connect_patience, [&] { return closing_ || was_up_; });
        names = consumed_;
    }
    names.push_back(options_.default_queue);
    for (const auto& task : registry_.names())
        names.push_back(registry_.find(task)->options.queue);
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    awaited<std::vector<broker::queue_depth>> asked;
    broker_->depths(std::move(names), asked.teller());
    auto depths = asked.wait();
    if (!depths)
        return depths.error();
    std::vector<queue_info> shown;
    std::lock_guard lock(guard_);
    for (const auto& each : *depths) {
        queue_info info;
        info.name = each.name;
        info.waiting = each.ready;
        info.delayed = each.delayed.value_or(0);
        for (const auto& [seq, d] : out_)
            if (d->queue == each.name)
                ++(d->begun ? info.running : info.waiting);
        shown.push_back(std::move(info));
    }
    return shown;
}

broker_store::depth broker_store::unfinished() const {
    std::lock_guard lock(guard_);
    auto d = depth_;
    d.delayed += static_cast<std::int64_t>(held_.size());
    d.limited = static_cast<std::int64_t>(lanes_.size());
    d.held += static_cast<std::int64_t>(out_.size()) - d.limited;
    return d;
}

std::size_t broker_store::pending() const {
    std::lock_guard lock(guard_);
    std::size_t endings = 0;
    for (const auto& [owner, each] : workers_)
        endings += each.endings.size();
    return under_way_ + endings;
}

result<void> broker_store::ping() {
    const auto state = broker_->status(), kept = results_->status();
    std::lock_guard lock(guard_);
    if (state)
        heard_good_ = now();
    else if (now() - heard_good_ > options_.deaf_after)
        return failure{errc::unavailable, fmt::format("no job can be taken from {}: {}",
                                                      broker_->name(), state.error().message)};
    // It is connected, but stands still: sooner noticed so than by missing heartbeats.
    if (asked_ && now() - *asked_ > options_.deaf_after)
        return failure{
            errc::unavailable,
            fmt::format("no job can be taken from {}: it does not answer", broker_->name())};
    if (kept)
        results_good_ = now();
    else if (now() - results_good_ > options_.deaf_after)
        return failure{errc::unavailable, fmt::format("no result can be stored in {}: {}",
                                                      results_->name(), kept.error().message)};
    if (!workers_.empty() && now() - tended_ > options_.deaf_after)
        return failure{errc::unavailable, "the worker does not ask for jobs any more"};
    return {};
}

std::uint64_t broker_store::subscribe(listener heard) {
    std::lock_guard lock(listeners_guard_);
    listeners_.emplace_back(++subscriptions_, std::move(heard));
    return subscriptions_;
}

void broker_store::unsubscribe(std::uint64_t subscription) {
    std::lock_guard lock(listeners_guard_);
    std::erase_if(listeners_, [&](const auto& each) { return each.first == subscription; });
}

void broker_store::changed() {
    std::lock_guard lock(listeners_guard_);
    for (const auto& each : listeners_)
        each.second();
}

} // namespace carillon::jobs
