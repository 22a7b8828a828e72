#include "jobs/control/rate_limits.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace carillon::jobs {

namespace {

// Slower than once in a hundred years is taken for a slip, and would not fit an interval.
constexpr double rate_min = 1.0 / (100 * 365.0 * 86'400), rate_max = 1e9;
constexpr double slot_max_s = 365.0 * 86'400; // how far a slot is told ahead of the next one

failure not_a_rate() {
    return failure{errc::invalid, "a rate is a number, or a number and /s, /m or /h"};
}

std::string shown(const value& rate) {
    if (const auto* text = rate.if_string())
        return *text;
    if (const auto* whole = rate.if_int64())
        return fmt::to_string(*whole);
    return fmt::to_string(rate.to_double());
}

} // namespace

result<std::optional<double>> parse_rate(const value& given) {
    double seconds = 1, count = 0;
    if (given.is_null())
        return std::optional<double>();
    if (const auto* text = given.if_string()) {
        std::string_view number = *text;
        if (number.empty())
            return std::optional<double>();
        if (const auto slash = number.find('/'); slash != std::string_view::npos) {
            const auto unit = number.substr(slash + 1);
            if (unit != "s" && unit != "m" && unit != "h")
                return not_a_rate();
            seconds = unit == "s" ? 1 : unit == "m" ? 60 : 3'600;
            number = number.substr(0, slash);
        }
        const auto* end = number.data() + number.size();
        const auto read = std::from_chars(number.data(), end, count);
        if (read.ec != std::errc() || read.ptr != end)
            return not_a_rate();
    } else if (given.is_number()) {
        count = given.to_double();
    } else {
        return not_a_rate();
    }
    if (count == 0)
        return std::optional<double>();
    const double rate = count / seconds;
    if (!(rate >= rate_min && rate <= rate_max))
        return not_a_rate();
    return std::optional<double>(rate);
}

result<void> rate_limits::set(std::string task, const value& text) {
    const auto rate = parse_rate(text);
    if (!rate)
        return rate.error();
    std::lock_guard lock(guard_);
    if (!*rate) {
        buckets_.erase(task);
        return {};
    }
    auto& one = buckets_[std::move(task)];
    one.text = shown(text);
    one.interval = std::chrono::nanoseconds(std::llround(1e9 / **rate));
    one.next = {};
    return {};
}

std::string rate_limits::text_of(std::string_view task) const {
    std::lock_guard lock(guard_);
    const auto found = buckets_.find(task);
    return found == buckets_.end() ? std::string() : found->second.text;
}

std::chrono::nanoseconds rate_limits::take(std::string_view task, steady_time at) {
    std::lock_guard lock(guard_);
    const auto found = buckets_.find(task);
    if (found == buckets_.end())
        return {};
    auto& one = found->second;
    if (at < one.next)
        return one.next - at;
    one.next = at + one.interval;
    return {};
}

steady_time rate_limits::slot(std::string_view task, std::size_t before, steady_time at) const {
    std::lock_guard lock(guard_);
    const auto found = buckets_.find(task);
    if (found == buckets_.end())
        return at;
    const auto& one = found->second;
    // In seconds first: an interval may be so long that its multiples do not fit.
    const double wait_s =
        std::chrono::duration<double>(one.interval).count() * static_cast<double>(before);
    const auto far = std::min(wait_s, slot_max_s);
    return std::max(at, one.next) +
           std::chrono::duration_cast<steady_time::duration>(std::chrono::duration<double>(far));
}

} // namespace carillon::jobs
