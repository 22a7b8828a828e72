#include "load/process_meter.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string_view>

#include <sys/resource.h>
#include <unistd.h>

#include "load/event_loop.hpp"

namespace carillon::bench {

namespace {

std::string slurp(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> thread_folders(int pid) {
    std::vector<std::string> folders;
    std::error_code gone; // a process may end while it is looked at
    std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/task", gone);
    for (; !gone && it != std::filesystem::directory_iterator{}; it.increment(gone))
        folders.push_back(it->path().string());
    return folders;
}

// The number behind `label`, which ends where the number's blanks begin; 0 where there is none.
double number_after(const std::string& text, std::string_view label) {
    std::size_t at = text.find(label);
    return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + label.size(), nullptr);
}

double seconds_of_ticks(double ticks) { return ticks / static_cast<double>(sysconf(_SC_CLK_TCK)); }

cpu_reading read_process(int pid) {
    cpu_reading cpu;
    std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
    std::size_t name_end = stat.rfind(')');
    if (name_end != std::string::npos) {
        std::istringstream fields(stat.substr(name_end + 1));
        std::string skipped;
        for (int i = 3; i < 14; ++i) // proc(5): fields 14 to 17 are utime stime cutime cstime
            fields >> skipped;
        double user = 0, system = 0, children_user = 0, children_system = 0;
        fields >> user >> system >> children_user >> children_system;
        cpu.user = seconds_of_ticks(user + children_user);
        cpu.system = seconds_of_ticks(system + children_system);
    }
    for (const std::string& folder : thread_folders(pid))
        cpu.exact += std::strtod(slurp(folder + "/schedstat").c_str(), nullptr) / 1e9;
    return cpu;
}

void read_machine(meter_reading& reading) {
    std::istringstream line(slurp("/proc/stat"));
    std::string label;
    double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
    line >> label >> user >> nice >> system >> idle >> wait >> irq >> softirq >> steal;
    reading.machine_busy_seconds = seconds_of_ticks(user + nice + system + irq + softirq);
    reading.machine_steal_seconds = seconds_of_ticks(steal);
}

} // namespace

std::vector<int> process_tree(const std::vector<int>& roots) {
    std::vector<int> waiting = roots;
    std::set<int> found;
    while (!waiting.empty()) {
        int pid = waiting.back();
        waiting.pop_back();
        std::vector<std::string> threads = thread_folders(pid);
        if (threads.empty() || !found.insert(pid).second)
            continue;
        for (const std::string& folder : threads) {
            std::istringstream children(slurp(folder + "/children"));
            std::copy(std::istream_iterator<int>(children), {}, std::back_inserter(waiting));
        }
    }
    return {found.begin(), found.end()};
}

memory_reading read_memory(const std::vector<int>& roots) {
    memory_reading memory;
    for (int pid : process_tree(roots)) {
        std::string rollup = slurp("/proc/" + std::to_string(pid) + "/smaps_rollup");
        memory.pss += number_after(rollup, "\nPss:") * 1024;
        memory.rss += number_after(rollup, "\nRss:") * 1024;
    }
    return memory;
}

double read_kernel_memory() {
    std::string sockets = slurp("/proc/net/sockstat");
    std::size_t tcp = sockets.find("TCP:");
    double pages = tcp == std::string::npos ? 0 : number_after(sockets.substr(tcp), " mem ");
    return number_after(slurp("/proc/meminfo"), "\nSlab:") * 1024 +
           pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

meter_reading read_meter(const std::vector<int>& server_pids) {
    meter_reading reading;
    for (int root : server_pids) {
        cpu_reading sum;
        for (int pid : process_tree({root})) {
            cpu_reading one = read_process(pid);
            sum.user += one.user;
            sum.system += one.system;
            sum.exact += one.exact;
        }
        reading.server.push_back(sum);
    }
    rusage self{};
    getrusage(RUSAGE_SELF, &self);
    auto seconds = [](timeval t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    reading.client_seconds = seconds(self.ru_utime) + seconds(self.ru_stime);
    read_machine(reading);
    reading.at_ns = now_ns();
    return reading;
}

cpu_cost cost_between(const meter_reading& from, const meter_reading& to) {
    cpu_cost cost;
    cost.seconds = static_cast<double>(to.at_ns - from.at_ns) / 1e9;
    double user = 0, both = 0;
    for (std::size_t i = 0; i < from.server.size(); ++i) {
        const cpu_reading &a = from.server[i], &b = to.server[i];
        double ticks = b.user + b.system - a.user - a.system, exact = b.exact - a.exact;
        // The nanoseconds miss what ended threads used: then the coarser ticks are right.
        bool whole = exact > 0 && exact >= ticks * 0.99 - 0.05;
        cost.server += whole ? exact : ticks;
        cost.has_server = cost.has_server || b.exact > 0;
        user += b.user - a.user;
        both += ticks;
    }
    cost.server_user_share = both > 0 ? user / both : 0;
    cost.client = to.client_seconds - from.client_seconds;
    cost.other = to.machine_busy_seconds - from.machine_busy_seconds - cost.client - cost.server;
    cost.steal = to.machine_steal_seconds - from.machine_steal_seconds;
    return cost;
}

} // namespace carillon::bench
