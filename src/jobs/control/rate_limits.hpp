// How often a worker may start jobs of one task: Celery's rate limits, each a bucket that holds one token.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon::jobs {

// Starts per second, of "10/s", "100/m", "1000/h", "5" or a number. Nothing: no limit, which null, the empty text and 0
// stand for. errc::invalid for anything else.
result<std::optional<double>> parse_rate(const value& text);

// Thread-safe.
class rate_limits {
public:
    // `text` is what parse_rate() takes; it is also what is told of the limit. errc::invalid leaves it as it was.
    result<void> set(std::string task, const value& text);
    // As it was set, or empty.
    std::string text_of(std::string_view task) const;

    // Zero: the job may start now, and its token is taken. Else how long the next token takes; none is taken.
    std::chrono::nanoseconds take(std::string_view task, steady_time at = now());
    // When a job of this task will get its token if `before` others get theirs first. Not before `at`.
    steady_time slot(std::string_view task, std::size_t before, steady_time at = now()) const;

private:
    struct bucket {
        std::string text;
        std::chrono::nanoseconds interval{};
        steady_time next{}; // when the next token is there
    };
    mutable std::mutex guard_;
    std::map<std::string, bucket, std::less<>> buckets_;
};

} // namespace carillon::jobs
