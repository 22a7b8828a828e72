// A site as a program: what main() describes, and every command that comes with it.
//
//     class shop final : public cr::application { … };
//     int main(int argc, char** argv) { shop site; return cr::run(site, argc, argv); }
#pragma once

#include <string>
#include <vector>

#include <carillon/app/settings.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/channels/background.hpp>
#include <carillon/channels/channel_layer.hpp>
#include <carillon/db/database.hpp>
#include <carillon/db/migration.hpp>
#include <carillon/jobs/queue.hpp>
#include <carillon/jobs/registry.hpp>
#include <carillon/jobs/schedule.hpp>
#include <carillon/web/routes.hpp>

namespace carillon {

// The parts of a running program, shared by its handlers, consumers and jobs. All are thread-safe and live as long as
// any of those runs.
struct services {
    const settings& config;
    logger& log;
    metrics& counters;
    db::database& database;
    channel_layer& layer;
    job_queue* jobs = nullptr; // set before the first handler or job runs
};

class application {
public:
    virtual ~application() = default;
    // The program's name and version, as --version prints them.
    virtual std::string name() const = 0;
    virtual std::string version() const = 0;
    virtual std::string description() const = 0;
    virtual std::vector<db::migration> migrations() const { return {}; }
    // Called once, by every command that needs jobs. `shared` outlives them.
    virtual void register_jobs(job_registry&, services&) {}
    // Jobs that come again and again; those of the configuration file are added to them. Called once, by `beat` and by
    // `serve` and `worker` with --beat.
    virtual void register_schedules(timetable&, services&) {}
    // The consumers of hand-named channels. Called once, by `serve` and by `worker --channels`. `shared` outlives them.
    virtual background_routes background(services&) { return {}; }
    // Called once, by `serve`. `shared` outlives the routes.
    virtual routes urls(services& shared) = 0;
};

// Reads settings and runs the command that the arguments name. Returns the exit status: 0; 1 when something failed,
// with one clear sentence on standard error; 2 for wrong usage.
int run(application& site, int argc, const char* const* argv);

} // namespace carillon
