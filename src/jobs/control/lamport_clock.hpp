// The logical clock of one node, which orders its events and those of others.
#pragma once

#include <atomic>
#include <cstdint>

#include "wire/celery/control.hpp"

namespace carillon::jobs {

// Thread-safe.
class lamport_clock {
public:
    std::int64_t read() const noexcept { return time_.load(std::memory_order_relaxed); }
    // The time of something that happens here.
    std::int64_t next() noexcept { return seen(0); }
    // The time after a message with that clock was received.
    std::int64_t seen(std::int64_t other) noexcept {
        auto own = read();
        for (;;) {
            const auto later = wire::celery::advanced(own, other);
            if (time_.compare_exchange_weak(own, later, std::memory_order_relaxed))
                return later;
        }
    }

private:
    std::atomic<std::int64_t> time_{0};
};

} // namespace carillon::jobs
