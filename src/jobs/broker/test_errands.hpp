// For tests: a thread that does what it is given, as the thread of a broker does.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

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

} // namespace carillon::testing
