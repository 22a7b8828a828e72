// pulse: whether work that is done round after round succeeds, for readiness checks.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>

namespace carillon::jobs {

// Thread-safe.
class pulse {
public:
    struct limits {
        std::chrono::milliseconds failing_max{15'000}; // trouble for so long is told by state()
        std::chrono::milliseconds silent_max{15'000};  // so is a round that does not end
    };
    explicit pulse(limits given) : limits_(given) {}

    void note_trouble(std::string why);
    // Nothing failed in it where `well`.
    void end_round(bool well);

    // The last trouble of the rounds since the last good one; empty when there was none.
    std::string trouble() const;
    // errc::unavailable: the sentence of the trouble after `failing`, or `silent`.
    result<void> state(std::string_view failing, std::string_view silent) const;

private:
    const limits limits_;
    mutable std::mutex guard_;
    std::string trouble_;
    steady_time well_ = now(), ended_ = well_; // ends of the last good round and of the last one
};

} // namespace carillon::jobs
