// What tests of the RabbitMQ broker share: one node for all of them, and a peer that remembers what it heard.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/test_support.hpp"
#include "jobs/broker/amqp_broker.hpp"
#include "jobs/broker/test_rabbitmq.hpp"

namespace carillon::jobs::amqp::test {

using testing::journal;
using testing::remembering_log;
using testing::soon;
using wire::celery::message_parts;

// Started by the first test that needs it.
inline rabbitmq& node() {
    static rabbitmq one;
    return one;
}

inline message_parts task_parts(const std::string& id, std::string body = "[[2, 3], {}, {}]") {
    message_parts out;
    out.headers = object{{"lang", "cpp"}, {"task", "vapp.add"}, {"id", id}, {"retries", 0}};
    out.properties = object{{"content_type", "application/json"},
                            {"content_encoding", "utf-8"},
                            {"delivery_mode", 2},
                            {"priority", 0},
                            {"correlation_id", id}};
    out.body = std::move(body);
    return out;
}

inline std::string id_of(const message_parts& parts) {
    const auto* id = parts.headers.find("id");
    return id ? std::string(id->to_text()) : "";
}

// A broker with one who listens.
class peer final : private broker_events {
public:
    explicit peer(const std::string& url) : peer(options_for(url)) {}
    peer() : peer(node().url()) {}
    explicit peer(const broker_options& options)
        : at(open_amqp_broker(options, log, counted).value()) {
        at->start(*this);
    }
    ~peer() { at.reset(); } // first: nothing is heard after it

    static broker_options options_for(const std::string& url) {
        broker_options out;
        out.url = url;
        out.backoff_first = std::chrono::milliseconds(20);
        out.backoff_max = std::chrono::milliseconds(200);
        return out;
    }

    void consume(std::vector<std::string> queues, std::uint32_t prefetch = 100) {
        at->consume(std::move(queues), prefetch);
    }
    result<void> publish(const std::string& queue, message_parts parts) {
        std::promise<result<void>> told;
        at->publish(queue, std::move(parts), [&](const result<void>& r) { told.set_value(r); });
        return told.get_future().get();
    }
    bool wait_up(std::size_t times = 1) { return ups.wait_count(times); }
    // The next delivery, in their order.
    delivery next(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
        std::unique_lock lock(guard_);
        if (!came_.wait_for(lock, patience, [&] { return !deliveries_.empty(); }))
            throw std::runtime_error("no delivery came");
        auto out = std::move(deliveries_.front());
        deliveries_.pop_front();
        return out;
    }
    // True when nothing came in that time.
    bool quiet(std::chrono::milliseconds span) {
        std::unique_lock lock(guard_);
        return !came_.wait_for(lock, span, [&] { return !deliveries_.empty(); });
    }
    std::size_t waiting() {
        std::lock_guard lock(guard_);
        return deliveries_.size();
    }
    result<broker::queue_depth> depth(const std::string& queue) {
        std::promise<result<std::vector<broker::queue_depth>>> told;
        at->depths({queue}, [&](const auto& r) { told.set_value(r); });
        auto all = told.get_future().get();
        if (!all)
            return all.error();
        return all->front();
    }
    // RabbitMQ counts a moment after it answers.
    bool wait_depth(const std::string& queue, std::uint64_t ready) {
        const auto deadline = soon();
        while (now() < deadline) {
            const auto found = depth(queue);
            if (found && found->ready == ready)
                return true;
        }
        return false;
    }
    bool wait_consumers(const std::string& queue, std::uint64_t count) {
        const auto deadline = soon();
        while (now() < deadline) {
            const auto found = depth(queue);
            if (found && found->consumers == count)
                return true;
        }
        return false;
    }
    bool wait_status(bool good) {
        const auto deadline = soon();
        while (at->status().has_value() != good)
            if (now() > deadline)
                return false;
            else
                std::this_thread::yield();
        return true;
    }
    double metric(std::string_view name) const { return testing::sum_of(counted, name); }

    remembering_log log;
    metrics counted;
    journal<int> ups;
    journal<std::string> downs;
    journal<message_parts> controls, replies;
    // On the broker's thread, instead of remembering. It may not use `at`, which is null while the broker ends.
    std::function<void(delivery)> instead;
    std::unique_ptr<broker> at;

private:
    void on_up() noexcept override { ups.add(1); }
    void on_down(const failure& why) noexcept override { downs.add(why.message); }
    void on_delivery(delivery received) noexcept override {
        if (instead)
            return instead(std::move(received));
        std::lock_guard lock(guard_);
        deliveries_.push_back(std::move(received));
        came_.notify_all();
    }
    void on_control(message_parts request) noexcept override { controls.add(std::move(request)); }
    void on_reply(message_parts reply) noexcept override { replies.add(std::move(reply)); }

    std::mutex guard_;
    std::condition_variable came_;
    std::deque<delivery> deliveries_;
};

} // namespace carillon::jobs::amqp::test
