// credits: how many events may be taken from Redis that the shards have not handled yet.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

#include <carillon/base/metrics.hpp>

namespace carillon::channels::redis {

class credits {
public:
    // `freed` is called on any thread, once after a reserve() that got less than it asked for, when some are free
    // again. `gauge` shows how many are out.
    credits(std::size_t most, std::function<void()> freed, counter& gauge);
    // Shares may live on; they call nothing any more.
    ~credits();

    // --- on the I/O thread ---

    // At most `wanted`, perhaps none: places for events that are asked for.
    std::size_t reserve(std::size_t wanted);
    void unreserve(std::size_t count);
    // One reserved place, and `more` that were not, as a share of the event that came; they are free when the last copy
    // ends.
    std::shared_ptr<void> share(std::size_t more = 0);

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace carillon::channels::redis
