// For tests: a broker and a result store inside this process, which keep the promises of broker.hpp and
// result_store.hpp and can be made to fail.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/test_support.hpp"
#include "jobs/broker/broker.hpp"
#include "jobs/broker/result_store.hpp"

namespace carillon::testing {

// A thread that does what it is given, in order.
class errand_thread {
public:
    errand_thread() : thread_([this] { run(); }) {}
    ~errand_thread() { stop(); }
    void post(std::function<void()> errand) {
        std::lock_guard lock(guard_);
        errands_.push_back(std::move(errand));
        wake_.notify_one();
    }
    void stop() {
        {
            std::lock_guard lock(guard_);
            ending_ = true;
            wake_.notify_one();
        }
        if (thread_.joinable())
            thread_.join();
    }

private:
    void run() {
        std::unique_lock lock(guard_);
        for (;;) {
            wake_.wait(lock, [&] { return ending_ || !errands_.empty(); });
            if (errands_.empty())
                return;
            auto errand = std::move(errands_.front());
            errands_.pop_front();
            lock.unlock();
            errand();
            lock.lock();
        }
    }
    std::mutex guard_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> errands_;
    bool ending_ = false;
    std::thread thread_;
};

struct queued_message {
    std::string queue;
    wire::celery::message_parts parts;
    bool redelivered = false;
};

// What outlives a connection: shared by the brokers of a test. Touched on their threads and by the test.
struct loopback_server {
    std::mutex guard;
    std::condition_variable changed;
    std::deque<queued_message> waiting; // the oldest first
    std::vector<std::pair<utc_time, queued_message>> delayed;
    std::map<std::uint64_t, queued_message> unacknowledged;
    std::vector<std::pair<std::string, wire::celery::message_parts>> emitted;
    std::set<std::uint64_t> touched;
    std::vector<std::uint32_t> prefetches;
    std::uint64_t last_tag = 0, acks = 0, rejects = 0, requeues = 0, published = 0;
    bool refuses = false; // every publish fails as if the broker were away
    std::map<const void*, std::function<void()>> brokers; // how each is told to look again

    // True when the server satisfies `enough` before the deadline.
    template <class Condition>
    bool wait(Condition enough, std::chrono::seconds span = std::chrono::seconds(20)) {
        std::unique_lock lock(guard);
        return changed.wait_for(lock, span, [&] { return enough(*this); });
    }
    void put(queued_message m) {
        std::lock_guard lock(guard);
        waiting.push_back(std::move(m));
        tell();
    }
    // With the guard held.
    void tell() {
        changed.notify_all();
        for (const auto& [each, look] : brokers)
            look();
    }
};

class loopback_broker final : public jobs::broker {
public:
    explicit loopback_broker(std::shared_ptr<loopback_server> server) : server_(std::move(server)) {
        std::lock_guard lock(server_->guard);
        server_->brokers[this] = [this] { errands_.post([this] { deliver(); }); };
    }
    ~loopback_broker() override {
        {
            std::lock_guard lock(server_->guard);
            server_->brokers.erase(this);
        }
        errands_.stop();
    }

    void start(jobs::broker_events& events) override {
        events_ = &events;
        errands_.post([this] {
            set_up(true);
            events_->on_up();
            deliver();
        });
    }
    void publish(std::string queue, wire::celery::message_parts parts, told done) override {
        errands_.post([this, m = queued_message{std::move(queue), std::move(parts)},
                       done = std::move(done)]() mutable {
            {
                std::lock_guard lock(server_->guard);
                if (server_->refuses) {
                    m.queue.clear();
                } else {
                    ++server_->published;
                    server_->waiting.push_back(m);
                }
                server_->tell();
            }
            done(m.queue.empty() ? result<void>(failure{errc::unavailable, "the broker is away"})
                                 : result<void>());
        });
    }
    void publish_at(utc_time when, std::string queue, wire::celery::message_parts parts,
                    told done) override {
        errands_.post([this, when, m = queued_message{std::move(queue), std::move(parts)},
                       done = std::move(done)] {
            {
                std::lock_guard lock(server_->guard);
                server_->delayed.emplace_back(when, m);
                server_->tell();
            }
            done({});
        });
    }
    void emit(std::string exchange, std::string, wire::celery::message_parts parts) override {
        errands_.post([this, exchange = std::move(exchange), parts = std::move(parts)] {
            {
                std::lock_guard lock(server_->guard);
                server_->emitted.emplace_back(exchange, parts);
                server_->tell();
            }
            if (exchange.empty())
                events_->on_reply(parts);
            else
                events_->on_control(parts);
        });
    }
    void consume(std::vector<std::string> queues, std::uint32_t prefetch) override {
        errands_.post([this, queues = std::move(queues), prefetch] {
            queues_ = queues;
            prefetch_ = prefetch;
            {
                std::lock_guard lock(server_->guard);
                server_->prefetches.push_back(prefetch);
            }
            deliver();
        });
    }
    void ack(std::uint64_t tag) override {
        errands_.post([this, tag] { take_back(tag, &loopback_server::acks, false); });
    }
    void reject(std::uint64_t tag, bool requeue) override {
        errands_.post([this, tag, requeue] {
            take_back(tag, requeue ? &loopback_server::requeues : &loopback_server::rejects,
                      requeue);
        });
    }
    void delay(std::uint64_t tag, utc_time until) override {
        errands_.post([this, tag, until] {
            if (mine_.erase(tag) == 0)
                return;
            {
                std::lock_guard lock(server_->guard);
                auto held = server_->unacknowledged.extract(tag);
                server_->delayed.emplace_back(until, std::move(held.mapped()));
                server_->tell();
            }
        });
    }
    void touch(std::vector<std::uint64_t> tags) override {
        std::lock_guard lock(server_->guard);
        server_->touched.insert(tags.begin(), tags.end());
        server_->changed.notify_all();
    }
    void listen_to_control(std::string) override {}
    std::string reply_queue() override { return "replies"; }
    void depths(std::vector<std::string> queues,
                std::function<void(const result<std::vector<queue_depth>>&)> hears) override {
        errands_.post([this, queues = std::move(queues), hears = std::move(hears)] {
            std::vector<queue_depth> found;
            {
                std::lock_guard lock(server_->guard);
                for (const auto& name : queues) {
                    auto& each = found.emplace_back();
                    each.name = name;
                    each.ready = static_cast<std::uint64_t>(
                        std::ranges::count(server_->waiting, name, &queued_message::queue));
                }
            }
            hears(found);
        });
    }
    result<void> status() const override {
        std::lock_guard lock(state_guard_);
        return up_ ? result<void>() : failure{errc::unavailable, "the connection is lost"};
    }
    std::optional<steady_time> good_since() const override { return std::nullopt; }
    const std::string& name() const noexcept override { return name_; }

    void leave() override {
        consume({}, 0);
        settle();
        lose_connection();
        settle();
    }

    // --- for tests
    // Everything unacknowledged goes back to the front of its queue.
    void lose_connection() {
        errands_.post([this] {
            set_up(false);
            events_->on_down({errc::closed, "the peer closed it"});
            std::lock_guard lock(server_->guard);
            for (auto tag = mine_.rbegin(); tag != mine_.rend(); ++tag) {
                auto held = server_->unacknowledged.extract(*tag);
                held.mapped().redelivered = true;
                server_->waiting.push_front(std::move(held.mapped()));
            }
            mine_.clear();
            server_->tell();
        });
    }
    void reconnect() {
        errands_.post([this] {
            set_up(true);
            events_->on_up();
            deliver();
        });
    }
    // Nothing that is asked from now on is done before `again` is open.
    void stand_still(gate& again) {
        errands_.post([&again] { again.pass(); });
    }
    // Returns once what was asked of the broker before is done.
    void settle() {
        std::mutex guard;
        std::condition_variable woken;
        bool done = false;
        errands_.post([&] {
            std::lock_guard lock(guard);
            done = true;
            woken.notify_all();
        });
        std::unique_lock lock(guard);
        woken.wait(lock, [&] { return done; });
    }

private:
    void set_up(bool up) {
        std::lock_guard lock(state_guard_);
        up_ = up;
    }
    void take_back(std::uint64_t tag, std::uint64_t loopback_server::*count, bool requeue) {
        if (mine_.erase(tag) == 0)
            return;
        {
            std::lock_guard lock(server_->guard);
            ++((*server_).*count);
            auto held = server_->unacknowledged.extract(tag);
            if (requeue) {
                held.mapped().redelivered = true;
                server_->waiting.push_front(std::move(held.mapped()));
            }
            server_->tell();
        }
    }
    void deliver() {
        if (!up_)
            return;
        std::vector<jobs::delivery> out;
        {
            std::lock_guard lock(server_->guard);
            for (auto each = server_->waiting.begin(); each != server_->waiting.end();) {
                if (mine_.size() >= prefetch_)
                    break;
                if (std::ranges::find(queues_, each->queue) == queues_.end()) {
                    ++each;
                    continue;
                }
                jobs::delivery d;
                d.tag = ++server_->last_tag;
                d.queue = d.routing_key = each->queue;
                d.parts = each->parts;
                d.redelivered = each->redelivered;
                mine_.insert(d.tag);
                server_->unacknowledged.emplace(d.tag, std::move(*each));
                each = server_->waiting.erase(each);
                out.push_back(std::move(d));
            }
        }
        for (auto& each : out)
            events_->on_delivery(std::move(each));
    }

    const std::string name_ = "loopback";
    std::shared_ptr<loopback_server> server_;
    jobs::broker_events* events_ = nullptr;
    mutable std::mutex state_guard_;
    bool up_ = false;
    std::vector<std::string> queues_; // of the thread, as all that follows
    std::uint32_t prefetch_ = 0;
    std::set<std::uint64_t> mine_;
    errand_thread errands_;
};

// Records that several result stores of a test share.
struct loopback_records {
    std::mutex guard;
    std::condition_variable changed;
    std::map<std::string, std::vector<wire::celery::result_record>> of; // the newest last
    std::map<std::string, std::int64_t> chord_sizes;
    std::map<std::string, std::map<double, std::string>> chord_parts;
    std::map<std::string, std::string> unique;
    int refusals = 0; // so many puts fail
    // Whoever watches an id, in any of the stores.
    using hearer = std::function<void(const wire::celery::result_record&)>;
    std::map<std::pair<const void*, std::string>, hearer> watches;

    template <class Condition>
    bool wait(Condition enough, std::chrono::seconds span = std::chrono::seconds(20)) {
        std::unique_lock lock(guard);
        return changed.wait_for(lock, span, [&] { return enough(*this); });
    }
    std::vector<std::string> statuses(const std::string& id) {
        std::lock_guard lock(guard);
        std::vector<std::string> all;
        for (const auto& each : of[id])
            all.push_back(each.status);
        return all;
    }
    wire::celery::result_record last(const std::string& id) {
        std::lock_guard lock(guard);
        return of[id].empty() ? wire::celery::result_record() : of[id].back();
    }
};

class loopback_results final : public jobs::result_store {
public:
    loopback_results(std::shared_ptr<loopback_records> records, std::string reply_to = {})
        : records_(std::move(records)), reply_to_(std::move(reply_to)) {}
    ~loopback_results() override {
        {
            std::lock_guard lock(records_->guard);
            std::erase_if(records_->watches,
                          [&](const auto& each) { return each.first.first == this; });
        }
        errands_.stop();
    }

    void put(record what, std::string, std::string, told done) override {
        errands_.post([this, what = std::move(what), done = std::move(done)] {
            if (!stored(what))
                return done(failure{errc::unavailable, "the result store is away"});
            done({});
        });
    }
    void get(std::string id,
             std::function<void(const result<std::optional<record>>&)> hears) override {
        errands_.post([this, id = std::move(id), hears = std::move(hears)] {
            std::optional<record> found;
            {
                std::lock_guard lock(records_->guard);
                if (auto there = records_->of.find(id);
                    there != records_->of.end() && !there->second.empty())
                    found = there->second.back();
            }
            hears(found);
        });
    }
    void watch(std::string id, std::function<void(const record&)> heard, told ready) override {
        errands_.post(
            [this, id = std::move(id), heard = std::move(heard), ready = std::move(ready)] {
                std::optional<record> found;
                {
                    std::lock_guard lock(records_->guard);
                    records_->watches[{this, id}] = [this, heard](const record& what) {
                        errands_.post([heard, what] { heard(what); });
                    };
                    if (auto there = records_->of.find(id);
                        there != records_->of.end() && !there->second.empty())
                        found = there->second.back();
                }
                ready({});
                if (found)
                    heard(*found);
            });
    }
    // Nothing that is asked or heard from now on is told before `again` is open.
    void stand_still(gate& again) {
        errands_.post([&again] { again.pass(); });
    }
    void forget(std::string id) override {
        errands_.post([this, id = std::move(id)] {
            std::lock_guard lock(records_->guard);
            records_->watches.erase({this, id});
        });
    }
    std::string reply_to() override { return reply_to_; }
    void put_chord_size(wire::celery::chord_size size, told done) override {
        errands_.post([this, size, done = std::move(done)] {
            {
                std::lock_guard lock(records_->guard);
                records_->chord_sizes[size.group_id] = size.members;
            }
            done({});
        });
    }
    void add_chord_part(wire::celery::chord_part part,
                        std::function<void(const result<std::optional<std::vector<std::string>>>&)>
                            hears) override {
        errands_.post([this, part = std::move(part), hears = std::move(hears)] {
            std::optional<std::vector<std::string>> complete;
            {
                std::lock_guard lock(records_->guard);
                auto& parts = records_->chord_parts[part.group_id];
                parts[part.score] = part.member;
                if (wire::celery::is_complete(static_cast<std::int64_t>(parts.size()),
                                              records_->chord_sizes[part.group_id], 0)) {
                    complete.emplace();
                    for (const auto& [score, member] : parts)
                        complete->push_back(member);
                }
            }
            hears(complete);
        });
    }
    void forget_chord(std::string group_id, told done) override {
        errands_.post([this, group_id = std::move(group_id), done = std::move(done)] {
            {
                std::lock_guard lock(records_->guard);
                records_->chord_sizes.erase(group_id);
                records_->chord_parts.erase(group_id);
                records_->changed.notify_all();
            }
            done({});
        });
    }
    void claim_unique(std::string key, std::string id, std::chrono::seconds,
                      std::function<void(const result<std::string>&)> holder) override {
        errands_.post([this, key = std::move(key), id = std::move(id), holder = std::move(holder)] {
            std::string whose;
            {
                std::lock_guard lock(records_->guard);
                whose = records_->unique.try_emplace(key, id).first->second;
            }
            holder(whose);
        });
    }
    void release_unique(std::string key, std::string id, told done) override {
        errands_.post([this, key = std::move(key), id = std::move(id), done = std::move(done)] {
            {
                std::lock_guard lock(records_->guard);
                if (auto there = records_->unique.find(key);
                    there != records_->unique.end() && there->second == id)
                    records_->unique.erase(there);
            }
            done({});
        });
    }
    result<void> status() const override { return {}; }
    const std::string& name() const noexcept override { return name_; }

private:
    bool stored(const record& what) {
        std::lock_guard lock(records_->guard);
        records_->changed.notify_all();
        if (records_->refusals > 0) {
            --records_->refusals;
            return false;
        }
        auto& history = records_->of[what.task_id];
        if (history.empty() || history.back().status != wire::celery::state::success)
            history.push_back(what);
        for (const auto& [who, hear] : records_->watches)
            if (who.second == what.task_id)
                hear(what);
        return true;
    }
    const std::string name_ = "loopback";
    std::shared_ptr<loopback_records> records_;
    const std::string reply_to_;
    errand_thread errands_;
};

} // namespace carillon::testing
