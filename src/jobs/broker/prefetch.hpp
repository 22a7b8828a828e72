// How many messages a worker lets its broker deliver ahead of their acknowledgement. Pure arithmetic.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace carillon::jobs {

inline constexpr std::size_t prefetch_max = 60'000; // AMQP counts to 65,535

// What the worker has and wants.
struct appetite {
    std::size_t held = 0;    // messages that wait for their time here, unacknowledged
    std::size_t in_hand = 0; // jobs that were taken and not acknowledged
    std::size_t wanted = 0;  // jobs that it would take besides
};

// The next prefetch. A change makes some brokers start their consumers anew: so the figure is rounded up a little and
// falls only when it is far too large. `exact` leaves no slack: nothing comes that would only lie here.
constexpr std::uint32_t next_prefetch(std::uint32_t present, const appetite& a,
                                      bool exact) noexcept {
    const auto jobs = a.in_hand + a.wanted;
    const auto least = std::clamp<std::size_t>(jobs + a.held, 1, prefetch_max);
    if (exact)
        return static_cast<std::uint32_t>(least);
    constexpr std::size_t few = 8;
    const auto rounded = jobs <= few ? jobs : std::bit_ceil(jobs);
    const auto slack = a.held == 0 ? 0 : std::clamp<std::size_t>(a.held / 8, 64, 256);
    const auto comfortable = std::clamp<std::size_t>(rounded + a.held + slack, 1, prefetch_max);
    const bool enough = present >= least, far_too_much = present / 4 >= comfortable;
    return enough && !far_too_much ? present : static_cast<std::uint32_t>(comfortable);
}

} // namespace carillon::jobs
