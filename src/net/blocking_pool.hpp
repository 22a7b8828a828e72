// blocking_pool: threads for calls that block (database, files, hashing), so that no shard ever does.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <carillon/base/metrics.hpp>

namespace carillon::net {

// Thread-safe. Work is taken in the order of submission.
class blocking_pool {
public:
    // `queue_max`: how many calls may wait for a thread.
    blocking_pool(std::uint32_t threads, std::uint32_t queue_max, metrics& counted);
    blocking_pool(const blocking_pool&) = delete;
    ~blocking_pool();

    // False when queue_max calls wait already, or the pool has stopped: `work` will not run.
    [[nodiscard]] bool submit(std::function<void()> work);
    // Runs what waits, then joins the threads. Later submissions are refused.
    void stop();

private:
    void serve();

    const std::uint32_t queue_max_;
    counter& refused_;
    counter& waiting_;
    std::mutex guard_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace carillon::net
