// What tests of clients need: a loop on a thread of its own, events and log lines that can be waited for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/redis/client.hpp"
#include "net/redis/test_redis.hpp"

namespace carillon::net::redis::test {

using wire::redis::command;
using wire::redis::reply;

class loop_thread {
public:
    loop_thread() : thread_([this] { loop_.run(); }) {}
    ~loop_thread() {
        loop_.stop();
        thread_.join();
    }
    // Runs `work` on the loop's thread, and waits for it.
    template <class F>
    auto call(F work) {
        std::packaged_task<decltype(work())()> task(std::move(work));
        auto done = task.get_future();
        loop_.post([&task] { task(); });
        return done.get();
    }
    loop& get() noexcept { return loop_; }

private:
    loop loop_;
    std::thread thread_;
};

class log_lines final : public logger {
public:
    bool enabled(log_level level) const noexcept override { return level != log_level::debug; }
    void write(log_level, std::string_view message,
               std::initializer_list<log_field> fields) override {
        std::string line(message);
        for (const auto& one : fields)
            line.append(" ").append(one.name).append("=").append(one.content.to_text());
        std::lock_guard lock(guard_);
        lines_.push_back(std::move(line));
    }
    std::vector<std::string> all() const {
        std::lock_guard lock(guard_);
        return lines_;
    }
    // How many lines hold `text`.
    int count(std::string_view text) const {
        int found = 0;
        for (const auto& line : all())
            found += line.find(text) != std::string::npos;
        return found;
    }

private:
    mutable std::mutex guard_;
    std::vector<std::string> lines_;
};

// A client on a loop's thread, and everything that it tells.
class witness final : public client_events {
public:
    struct seen {
        int ups = 0, downs = 0;
        failure last;
        std::vector<reply> pushed;
    };

    witness(loop_thread& on, const std::string& url, client_options options = quick())
        : thread_(on), counters(counted) {
        auto where = parse_addresses(url).value();
        thread_.call([&] {
            client_.emplace(thread_.get(), where.hosts.front(), options, *this, log, counters);
            client_->start();
        });
    }
    ~witness() {
        thread_.call([&] { client_.reset(); });
    }

    // Timeouts that a test can wait for.
    static client_options quick() {
        client_options out;
        out.connect_timeout = std::chrono::seconds(5);
        out.command_timeout = std::chrono::seconds(5);
        out.backoff_first = std::chrono::milliseconds(10);
        out.backoff_max = std::chrono::milliseconds(100);
        return out;
    }

    // False when it does not come true in time.
    template <class P>
    bool wait(P wanted) {
        std::unique_lock lock(guard_);
        return changed_.wait_for(lock, std::chrono::milliseconds(patience_milliseconds),
                                 [&] { return wanted(seen_); });
    }
    bool wait_up(int times = 1) {
        return wait([=](const seen& s) { return s.ups >= times; });
    }
    bool wait_down(int times = 1) {
        return wait([=](const seen& s) { return s.downs >= times; });
    }
    seen now_seen() {
        std::lock_guard lock(guard_);
        return seen_;
    }

    template <class F>
    auto call(F work) {
        return thread_.call([&] { return work(*client_); });
    }
    // Sends from the loop's thread and waits for what is told.
    result<reply> ask(const command& what, std::chrono::milliseconds timeout = {}) {
        std::promise<result<reply>> told;
        auto done = told.get_future();
        call([&](client& c) {
            c.send(
                what, [&](result<reply> got) { told.set_value(std::move(got)); }, timeout);
        });
        return done.get();
    }
    loop_thread& on() noexcept { return thread_; }

    void on_up() noexcept override {
        note([](seen& s) { ++s.ups; });
        if (client_ && when_up)
            when_up(*client_);
    }
    void on_down(const failure& why) noexcept override {
        note([&](seen& s) {
            ++s.downs;
            s.last = why;
        });
    }
    void on_push(reply got) noexcept override {
        note([&](seen& s) { s.pushed.push_back(std::move(got)); });
    }
    std::function<void(client&)> when_up; // set on the loop's thread

private:
    template <class F>
    void note(F what) {
        {
            std::lock_guard lock(guard_);
            what(seen_);
        }
        changed_.notify_all();
    }

    loop_thread& thread_;
    std::mutex guard_;
    std::condition_variable changed_;
    seen seen_;

public:
    metrics counted;
    client_counters counters;
    log_lines log;

private:
    std::optional<client> client_;
};

} // namespace carillon::net::redis::test
