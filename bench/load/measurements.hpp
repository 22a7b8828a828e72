// The four measurements of carillon-bench. docs/performance.md defines every figure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load/client_pool.hpp"
#include "load/report.hpp"

namespace carillon::bench {

struct options {
    pool_settings pool;
    std::vector<int> server_pids;
    std::string publish_url;
    std::uint32_t publish_depth = 1; // unanswered POSTs at once
    std::uint32_t messages = 1000, warmup = 20;
    std::uint32_t window = 1; // messages not yet with everyone
    std::uint32_t inflight = 1;
    std::uint32_t payload_bytes = 200;
    double seconds = 5;
    double settle_s = 1;
};

// `complete` is false where something was lost, failed or closed during the run.
struct outcome {
    report figures;
    bool complete;
};

outcome measure_fanout(const options& o);
outcome measure_echo(const options& o);
outcome measure_storm(const options& o);
outcome measure_idle(const options& o);

// Sections that several measurements share.
void add_connect(report& r, const client_pool& pool, std::uint32_t asked, std::uint32_t opened);
void add_ends(report& r, const client_pool& pool);

// Memory of the server before and after `conns` connections were opened, as a section.
struct footprint {
    memory_reading before, connected;
    double kernel_before = 0, kernel_connected = 0;
    void add_to(report& r, bool has_server, std::uint32_t conns) const;
};

} // namespace carillon::bench
