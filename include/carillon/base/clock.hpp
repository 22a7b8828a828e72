// Points in time. Deadlines use the steady clock; what is stored or shown uses UTC.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace carillon {

using steady_time = std::chrono::steady_clock::time_point;
using utc_time = std::chrono::sys_time<std::chrono::microseconds>;

inline steady_time now() noexcept { return std::chrono::steady_clock::now(); }
inline utc_time utc_now() noexcept {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
}

// ISO 8601 in UTC with microseconds, such as "2026-02-03T14:30:00.000000Z".
std::string to_iso8601(utc_time when);
// Reads ISO 8601 with `Z`, an offset or none (then UTC); fraction of any length. Nothing where malformed.
std::optional<utc_time> from_iso8601(std::string_view text) noexcept;

} // namespace carillon
