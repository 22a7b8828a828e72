// What the kernel says about the server's processes: CPU time, memory; and about the machine around
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace carillon::bench {

// The given processes and all their descendants that live now.
std::vector<int> process_tree(const std::vector<int>& roots);

// CPU time used so far, in seconds. user and system come from /proc/PID/stat (ticks of 10 ms,
// exited threads and reaped children included); exact is the sum over live threads of
// /proc/PID/task/*/schedstat (nanoseconds).
struct cpu_reading {
    double user = 0, system = 0, exact = 0;
};

// Memory of the processes in bytes: proportional and resident set size.
struct memory_reading {
    double pss = 0, rss = 0;
};
memory_reading read_memory(const std::vector<int>& roots);
// Slab and TCP buffer pages of the whole machine, in bytes: what no process is charged for.
double read_kernel_memory();

// One moment: server, this process, the machine.
struct meter_reading {
    std::uint64_t at_ns = 0;
    std::vector<cpu_reading> server; // one for each given process with its descendants
    double client_seconds = 0;
    double machine_busy_seconds = 0;
    double machine_steal_seconds = 0;
};
meter_reading read_meter(const std::vector<int>& server_pids);

// The difference of two readings, in seconds.
struct cpu_cost {
    bool has_server = false;
    double seconds = 0; // of wall time
    double server = 0;
    double server_user_share = 0; // 0 to 1, sampled by the kernel: good over seconds only
    double client = 0;
    double other = 0; // used by neither
    double steal = 0;
};
cpu_cost cost_between(const meter_reading& from, const meter_reading& to);

} // namespace carillon::bench
