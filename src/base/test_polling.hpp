// For tests: waiting for what tells nobody when it happens, in other processes and servers, and for time itself.
#pragma once

#include <chrono>
#include <thread>

#include <carillon/base/clock.hpp>

namespace carillon::testing {

// Asks until `condition` holds. False when it did not in time. Where an event can be awaited, await it instead.
template <class Condition>
bool poll_until(Condition condition,
                std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    constexpr std::chrono::milliseconds step{5};
    for (const auto end = now() + patience; !condition();) {
        if (now() >= end)
            return false;
        std::this_thread::sleep_for(step);
    }
    return true;
}

// Where time is what is tested: a lease that passes, a server that stands still for so long.
inline void elapse(std::chrono::milliseconds duration) { std::this_thread::sleep_for(duration); }

} // namespace carillon::testing
