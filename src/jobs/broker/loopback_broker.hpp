// For tests: a broker inside this process, which keeps the promises of broker.hpp and can be made to fail.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/test_support.hpp"
#include "jobs/broker/broker.hpp"
#include "jobs/broker/test_errands.hpp"

namespace carillon::testing {

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

} // namespace carillon::testing
