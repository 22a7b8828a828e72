// What tests of remote control share: a worker that remembers what it was told, a node around it on any broker, and a
// broker inside this process.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/test_support.hpp"
#include "base/uuid.hpp"
#include "jobs/control/controller.hpp"
#include "jobs/control/node.hpp"
#include "jobs/control/rate_limits.hpp"

namespace carillon::jobs::test_control {

namespace celery = wire::celery;
using testing::journal;
using testing::soon;

// Runs one job, holds one and has one scheduled, for ever.
class scripted_worker final : public worker_view {
public:
    static celery::request_info info(std::string id, std::string task) {
        celery::request_info out;
        out.id = std::move(id);
        out.name = std::move(task);
        out.args = array{2, "x"};
        out.kwargs = object{{"deep", true}};
        out.hostname = "w@here";
        out.routing_key = "celery";
        return out;
    }

    std::vector<celery::request_info> active(std::size_t) override {
        auto one = info("id-active", "proj.sleep");
        one.time_start = 1'795'153'339.196067;
        one.worker_pid = 4711;
        return {one};
    }
    std::vector<celery::request_info> reserved(std::size_t) override {
        return {info("id-reserved", "proj.add")};
    }
    std::vector<celery::scheduled_info> scheduled(std::size_t) override {
        celery::scheduled_info one;
        one.eta = utc_time(std::chrono::seconds(1'795'153'339));
        one.request = info("id-scheduled", "proj.add");
        return {one};
    }
    std::optional<held> find(std::string_view id) override {
        if (id == "id-active")
            return held{held::state::active, info("id-active", "proj.sleep")};
        if (id == "id-reserved")
            return held{held::state::reserved, info("id-reserved", "proj.add")};
        return std::nullopt;
    }
    std::vector<registered_task> registered() override {
        return {{"proj.add", rates.text_of("proj.add")}, {"proj.sleep", ""}};
    }
    std::vector<celery::queue_info> queues() override {
        celery::queue_info one;
        one.name = one.exchange = one.routing_key = "celery";
        return {one};
    }
    celery::worker_stats stats() override {
        celery::worker_stats out;
        out.total = object{{"proj.add", 3}};
        out.pid = 4711;
        out.concurrency = 2;
        out.broker_transport = "amqp";
        return out;
    }
    celery::worker_state state() override {
        celery::worker_state out;
        out.active = 1;
        out.processed = 3;
        out.version = "0.1";
        return out;
    }
    object conf() override { return object{{"worker_concurrency", 2}}; }
    std::string report() override { return "software -> carillon"; }

    std::vector<std::string> revoke(const std::vector<std::string>& ids, bool terminate) override {
        std::vector<std::string> mine;
        for (const auto& id : ids) {
            told.add((terminate ? "terminate " : "revoke ") + id);
            if (find(id))
                mine.push_back(id);
        }
        return mine;
    }
    result<void> rate_limit(const std::string& task, const value& rate) override {
        if (task != "proj.add")
            return failure{errc::not_found, "no such task"};
        return rates.set(task, rate);
    }
    result<void> time_limit(const std::string& task, std::optional<double> hard_s,
                            std::optional<double> soft_s) override {
        if (task != "proj.add")
            return failure{errc::not_found, "no such task"};
        told.add("limits " + std::to_string(hard_s.value_or(0)) + " " +
                 std::to_string(soft_s.value_or(0)));
        return {};
    }
    result<void> grow(std::int64_t threads) override {
        if (threads > 100)
            return failure{errc::invalid, "too many threads"};
        told.add("grow " + std::to_string(threads));
        return {};
    }
    result<void> add_consumer(const std::string& queue) override {
        told.add("consume " + queue);
        return {};
    }
    result<void> cancel_consumer(const std::string& queue) override {
        told.add("cancel " + queue);
        return {};
    }
    void shutdown() override { told.add("shutdown"); }

    bool was_told(std::string_view what) const {
        return told.wait(
            [&](const auto& all) { return std::find(all.begin(), all.end(), what) != all.end(); });
    }

    rate_limits rates;
    journal<std::string> told;
};

// One node: its worker, its events and its ear, as a worker process puts them together.
class test_node final : public broker_events {
public:
    test_node(std::string name, std::unique_ptr<broker> through, control_options options = {},
              event_options told = {})
        : broker_(std::move(through)) {
        options.node = told.node = name;
        events.emplace(
            *broker_, clock, [this] { return worker.state(); }, told, counted);
        node.emplace(*broker_, worker, clock, *events, revoked, options, silent_log(), counted);
        asks.emplace(*broker_, clock);
        broker_->start(*this);
        node->start();
    }
    ~test_node() {
        stop();
        broker_.reset();
    }
    void stop() {
        node->stop();
        events->stop();
    }
    double metric(std::string_view name) const { return testing::sum_of(counted, name); }

    void on_up() noexcept override {
        events->on_up();
        ups.add(1);
    }
    void on_down(const failure&) noexcept override { events->on_down(); }
    void on_delivery(delivery) noexcept override {}
    void on_control(celery::message_parts request) noexcept override {
        node->on_control(std::move(request));
    }
    void on_reply(celery::message_parts reply) noexcept override { asks->on_reply(reply); }

    scripted_worker worker;
    lamport_clock clock;
    newest_ids revoked{revoked_limits};
    metrics counted;
    std::optional<event_sender> events;
    std::optional<control_node> node;
    std::optional<controller> asks;
    journal<int> ups;

private:
    std::unique_ptr<broker> broker_;
};

// The exchanges of one broker inside this process: who emits is who delivers.
class loopback_hub {
public:
    struct emitted {
        std::string exchange, routing_key;
        celery::message_parts parts;
    };
    journal<emitted> all;

private:
    friend class loopback_broker;
    std::mutex guard_;
    std::map<std::string, broker_events*> replies_;
    std::set<broker_events*> nodes_;
};

class loopback_broker final : public broker {
public:
    explicit loopback_broker(loopback_hub& hub) : hub_(hub) {}
    ~loopback_broker() override {
        std::lock_guard lock(hub_.guard_);
        hub_.replies_.erase(reply_queue_);
        hub_.nodes_.erase(events_);
    }
    void start(broker_events& events) override {
        events_ = &events;
        events.on_up();
    }
    void leave() override {}
    void publish(std::string, celery::message_parts, told done) override { done({}); }
    void publish_at(utc_time, std::string, celery::message_parts, told done) override { done({}); }
    void emit(std::string exchange, std::string routing_key, celery::message_parts parts) override {
        hub_.all.add({exchange, routing_key, parts});
        std::lock_guard lock(hub_.guard_);
        if (exchange == celery::pidbox_exchange)
            for (auto* node : hub_.nodes_)
                node->on_control(parts);
        if (const auto found = hub_.replies_.find(routing_key); found != hub_.replies_.end())
            found->second->on_reply(parts);
    }
    void consume(std::vector<std::string>, std::uint32_t) override {}
    void ack(std::uint64_t) override {}
    void reject(std::uint64_t, bool) override {}
    void delay(std::uint64_t, utc_time) override {}
    void touch(std::vector<std::uint64_t>) override {}
    void listen_to_control(std::string) override {
        std::lock_guard lock(hub_.guard_);
        hub_.nodes_.insert(events_);
    }
    std::string reply_queue() override {
        std::lock_guard lock(hub_.guard_);
        if (reply_queue_.empty())
            reply_queue_ = make_uuid();
        hub_.replies_[reply_queue_] = events_;
        return reply_queue_;
    }
    void depths(std::vector<std::string>,
                std::function<void(const result<std::vector<queue_depth>>&)> heard) override {
        heard(std::vector<queue_depth>());
    }
    result<void> status() const override { return {}; }
    std::optional<steady_time> good_since() const override { return now(); }
    const std::string& name() const noexcept override { return name_; }

private:
    loopback_hub& hub_;
    broker_events* events_ = nullptr;
    std::string reply_queue_;
    const std::string name_ = "loopback";
};

} // namespace carillon::jobs::test_control
