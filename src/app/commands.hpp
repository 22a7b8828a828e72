// The commands of every site, one function each. All return the exit status and say on standard error what failed.
#pragma once

#include <string>
#include <vector>

#include "app/options.hpp"
#include <carillon/app/app.hpp>

namespace carillon::app {

struct worker_arguments {
    std::vector<std::string> queues;   // -Q; empty: "celery", or no jobs when there are channels
    std::vector<std::string> channels; // --channels: those whose background consumers run
    std::uint32_t threads = 2;         // -c, for jobs, and for each channel
    std::string name = "celery@%h";    // -n
    bool task_events = false;          // -E
};

int serve(application& site, const settings& config);
int work(application& site, const settings& config, worker_arguments arguments);
int migrate(application& site, const settings& config);
int group_send(const settings& config, const std::string& group, const std::string& json);
// `wait`: prints the result once the job has ended, instead of its id.
int call(application& site, const settings& config, const std::string& task,
         const std::string& json, bool wait);
int beat(application& site, const settings& config);
int inspect(application& site, const settings& config, const std::string& what);
int check(application& site, const loaded_settings& loaded);

// Prints the failure's sentence on standard error; returns 1.
int fail(const failure& why);

// SIGTERM and SIGINT, blocked in every thread that starts after it was made. The second signal ends the process at
// once.
class stop_signals {
public:
    stop_signals();
    // Blocks until the first signal.
    void wait();
};

} // namespace carillon::app
