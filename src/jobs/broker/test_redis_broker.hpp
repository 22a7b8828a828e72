// What tests of the Redis broker and result store need: a receiver that remembers, messages, questions to the server,
// and Python's side.
#pragma once

#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/test_polling.hpp"
#include "base/uuid.hpp"
#include "jobs/broker/redis_broker.hpp"
#include "net/redis/test_redis.hpp"
#include "net/redis/test_witness.hpp"
#include "wire/celery/message.hpp"

namespace carillon::jobs::test {

namespace celery = wire::celery;
using namespace std::chrono_literals;
using net::redis::test::no_redis;
using net::redis::test::server;

inline wire::redis::reply ask(const std::string& url,
                              std::initializer_list<std::string_view> words) {
    const auto where = net::redis::parse_addresses(url).value().hosts.front();
    return net::redis::ask(where, wire::redis::command(words), 20s).value();
}

inline celery::message_parts parts_of(std::string task, array args = {}, std::int64_t priority = 0,
                                      std::string id = make_uuid()) {
    celery::message m;
    m.task = std::move(task);
    m.id = std::move(id);
    m.args = std::move(args);
    m.priority = priority;
    return celery::encode_parts(m).value();
}
inline std::string id_of(const celery::message_parts& parts) {
    return std::string(value(parts.headers)["id"].to_text());
}

// Hears of a broker, and does with each delivery what `handle` says (acknowledge it, unless it is told otherwise).
class receiver final : public broker_events {
public:
    explicit receiver(broker_options options) : options_(std::move(options)) {
        broker_ = open_redis_broker(options_, log, counted).value();
    }
    ~receiver() { close(); }
    void start() { broker_->start(*this); }
    void close() { broker_.reset(); }
    broker& operator*() { return *broker_; }
    broker* operator->() { return broker_.get(); }

    std::function<void(broker&, const delivery&)> handle = [](broker& b, const delivery& d) {
        b.ack(d.tag);
    };

    struct seen {
        int ups = 0, downs = 0;
        std::vector<delivery> deliveries;
        std::vector<celery::message_parts> controls, replies;
    };
    template <class P>
    bool wait(P wanted, std::chrono::milliseconds patience = 30s) {
        std::unique_lock lock(guard_);
        return changed_.wait_for(lock, patience, [&] { return wanted(seen_); });
    }
    bool wait_up(int times = 1) {
        return wait([=](const seen& s) { return s.ups >= times; });
    }
    bool wait_count(std::size_t count, std::chrono::milliseconds patience = 30s) {
        return wait([=](const seen& s) { return s.deliveries.size() >= count; }, patience);
    }
    seen now_seen() {
        std::lock_guard lock(guard_);
        return seen_;
    }

    // Publishes and waits for the confirmation.
    result<void> publish(const std::string& queue, celery::message_parts parts) {
        std::promise<result<void>> told;
        broker_->publish(queue, std::move(parts),
                         [&](const result<void>& outcome) { told.set_value(outcome); });
        return told.get_future().get();
    }
    result<void> publish_at(utc_time when, const std::string& queue, celery::message_parts parts) {
        std::promise<result<void>> told;
        broker_->publish_at(when, queue, std::move(parts),
                            [&](const result<void>& outcome) { told.set_value(outcome); });
        return told.get_future().get();
    }

    void on_up() noexcept override {
        note([](seen& s) { ++s.ups; });
    }
    void on_down(const failure&) noexcept override {
        note([](seen& s) { ++s.downs; });
    }
    void on_delivery(delivery received) noexcept override {
        if (handle)
            handle(*broker_, received);
        note([&](seen& s) { s.deliveries.push_back(std::move(received)); });
    }
    void on_control(celery::message_parts request) noexcept override {
        note([&](seen& s) { s.controls.push_back(std::move(request)); });
    }
    void on_reply(celery::message_parts reply) noexcept override {
        note([&](seen& s) { s.replies.push_back(std::move(reply)); });
    }

    net::redis::test::log_lines log;
    metrics counted;

private:
    template <class F>
    void note(F what) {
        std::lock_guard lock(guard_);
        what(seen_);
        changed_.notify_all();
    }
    broker_options options_;
    std::mutex guard_;
    std::condition_variable changed_;
    seen seen_;
    std::unique_ptr<broker> broker_;
};

inline broker_options options_for(const std::string& url) {
    broker_options out;
    out.url = url;
    out.backoff_first = 10ms;
    out.backoff_max = 100ms;
    return out;
}

// Waits until the question has that answer.
inline bool becomes(const std::string& url, std::initializer_list<std::string_view> words,
                    std::int64_t wanted, std::chrono::seconds patience = 20s) {
    return testing::poll_until([&] { return ask(url, words).number == wanted; }, patience);
}

} // namespace carillon::jobs::test
