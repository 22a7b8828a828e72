// Jobs for measurements and tests from outside. Only with --bench: anybody who reaches the broker can start them.
#pragma once

#include <carillon/jobs/registry.hpp>

namespace showcase::bench {

// bench.noop()            does nothing, null
// bench.add(x, y)         their sum
// bench.sleep(seconds)    waits that long, up to a day, and can be stopped; who waits for it hears when it starts;
// never
//                         tried again; the seconds
// bench.fail(text)        fails for good, with the text; with `passing` true it is tried again three times, after 1, 2
//                         and 4 s
// bench.retry(times)      fails and is tried again that often, up to 100 times, after 0.1 s each; its attempts
// bench.progress(steps)   tells its progress after each of up to 1,000 steps of 0.1 s; the steps
// Arguments are positional or named; one of a wrong kind fails the job as invalid.
void register_jobs(carillon::job_registry& registry);

} // namespace showcase::bench
