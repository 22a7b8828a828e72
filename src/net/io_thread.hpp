// io_thread: a thread with an event loop of its own, for whoever talks to one server.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "net/loop.hpp"
#include "net/outgoing.hpp"

namespace carillon::net {

class io_thread {
public:
    io_thread() = default;
    io_thread(const io_thread&) = delete;
    ~io_thread() { stop(); }

    void start() {
        thread_ = std::thread([this] {
            const outgoing::here gathers(outgoing_);
            loop_.run();
        });
    }
    // Ends the loop and joins. What is posted later never runs. Not from the thread itself.
    void stop() {
        loop_.stop();
        if (thread_.joinable())
            thread_.join();
    }
    bool running() const noexcept { return thread_.joinable(); }
    bool here() const noexcept { return thread_.get_id() == std::this_thread::get_id(); }
    loop& events() noexcept { return loop_; }

    // Runs `work` on the thread, after what was posted before, and waits for its end. From another thread, while it
    // runs.
    template <class F>
    void run(F work) {
        // Shared: who waits may go on before set_value() has returned.
        const auto done = std::make_shared<std::promise<void>>();
        loop_.post([&work, done] {
            work();
            done->set_value();
        });
        done->get_future().wait();
    }

private:
    loop loop_;
    outgoing outgoing_{&loop_};
    std::thread thread_;
};

} // namespace carillon::net
