// The command `call`: what its command line asks of a job.
#pragma once

#include <string>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/queue.hpp>

namespace carillon::app {

// Options as they were written; an empty text was not given.
struct call_arguments {
    std::string task;
    std::string json; // an array (positional) or an object (named); empty: none
    std::string queue;
    std::string countdown; // seconds, with a fraction or not
    std::string eta;       // ISO 8601; UTC where it names no zone
    std::string expires;   // seconds from now, or ISO 8601
    int priority = 0;
    bool ignore_result = false;
    bool wait = false; // prints the result once the job has ended, instead of its id
};

inline constexpr double call_seconds_max = 10 * 366 * 86'400.0; // of countdown and expires

// What enqueue() is asked for; `now` is the moment from which seconds count. errc::invalid with a sentence that names
// the option.
result<enqueue_options> enqueue_options_of(const call_arguments& given, utc_time now);

} // namespace carillon::app
