// What operators ask a running process, serve, worker or beat: /healthz, /readyz, /metrics.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include <carillon/app/app.hpp>

namespace carillon::app {

// What a process needs to do its work, and whether it can use each of it at this moment. Thread-safe.
class readiness {
public:
    // Called on several threads, must be quick; the failure's sentence is shown.
    using check = std::function<result<void>()>;
    // Takes the place of one of that name. What `ask` looks at outlives the last request.
    void add(std::string name, check ask);
    // The process is about to end: not ready from now on, whatever its parts say.
    void leave();
    // 200 or 503 with {"status", "checks": {NAME: {"ok", "message"?}}}.
    response answer() const;

private:
    mutable std::mutex guard_;
    std::map<std::string, check> checks_;
};

// What every process asks that runs handlers or jobs of a site: database, channel layer and broker.
void add_site_checks(readiness& ready, services& shared);
// Whether the workers here are able to take jobs, or jobs can be sent where there are none.
void add_broker_check(readiness& ready, services& shared);

// Routes that come before the site's own. Everything given outlives them.
routes operation_routes(const metrics& counters, const readiness& ready);

// The counters in Prometheus' text format.
std::string prometheus_text(const metrics& counters);

} // namespace carillon::app
