// backlog: how many events came from Redis that the shards have not handled yet, and whether some were lost for it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include <carillon/base/metrics.hpp>

namespace carillon::channels::redis {

class backlog {
public:
    // `gone` is called on any thread, under a lock, when all events are handled and some had to be refused before that.
    // `gauge` shows how many are not handled.
    backlog(std::size_t most, std::function<void()> gone, counter& gauge);
    backlog(const backlog&) = delete;
    // Shares may live on; they call nothing any more.
    ~backlog();

    // On one thread. A share of one more event that counts for `weight`, whose last copy ends when the event is
    // handled; null when `most` is reached already: this event is lost.
    std::shared_ptr<void> share(std::size_t weight = 1);

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace carillon::channels::redis
