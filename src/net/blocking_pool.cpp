#include "net/blocking_pool.hpp"

namespace carillon::net {

blocking_pool::blocking_pool(std::uint32_t threads, std::uint32_t queue_max, metrics& counted)
    : queue_max_(queue_max),
      refused_(counted.add(metric_kind::counter, "carillon_blocking_refused_total",
                           "Blocking calls refused because blocking_queue_max waited")),
      waiting_(counted.add(metric_kind::gauge, "carillon_blocking_waiting",
                           "Blocking calls that wait for a thread")) {
    for (std::uint32_t i = 0; i < threads; ++i)
        threads_.emplace_back([this] { serve(); });
}

blocking_pool::~blocking_pool() { stop(); }

bool blocking_pool::submit(std::function<void()> work) {
    {
        std::lock_guard lock(guard_);
        if (stopping_ || queue_.size() >= queue_max_) {
            refused_.add();
            return false;
        }
        queue_.push_back(std::move(work));
    }
    waiting_.add();
    changed_.notify_one();
    return true;
}

void blocking_pool::stop() {
    {
        std::lock_guard lock(guard_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_)
        if (thread.joinable())
            thread.join();
}

void blocking_pool::serve() {
    for (;;) {
        std::unique_lock lock(guard_);
        changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty())
            return;
        auto work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        waiting_.sub();
        work();
    }
}

} // namespace carillon::net
