#include "load/measurements.hpp"

namespace carillon::bench {

namespace {

class idle final : private pool_listener {
public:
    explicit idle(const options& o) : o_(o), pool_(loop_, o.pool, *this) {}

    outcome run() {
        footprint memory;
        memory.before = read_memory(o_.server_pids);
        memory.kernel_before = read_kernel_memory();
        std::uint32_t opened = pool_.connect_all();
        loop_.run_for(o_.settle_s);
        memory.connected = read_memory(o_.server_pids);
        memory.kernel_connected = read_kernel_memory();
        std::uint64_t pings = pool_.pings();
        meter_reading before = read_meter(o_.server_pids);
        loop_.run_for(o_.seconds);
        cpu_cost cost = cost_between(before, read_meter(o_.server_pids));
        memory_reading after = read_memory(o_.server_pids);
        report r("idle");
        add_connect(r, pool_, o_.pool.conns, opened);
        memory.add_to(r, cost.has_server, opened);
        if (cost.has_server)
            r.number("pss_after_mb", after.pss / 1e6, 2);
        r.section("hold").number("seconds", cost.seconds, 2);
        r.count("pings_answered", pool_.pings() - pings).count("lost_while_idle", lost_);
        r.cpu(cost, "connection_second", opened * cost.seconds);
        add_ends(r, pool_);
        return {std::move(r), opened == o_.pool.conns && lost_ == 0};
    }

private:
    void closed(connection&, bool was_open, std::string_view) override { lost_ += was_open; }

    const options& o_;
    event_loop loop_;
    client_pool pool_;
    std::uint64_t lost_ = 0;
};

} // namespace

outcome measure_idle(const options& o) { return idle(o).run(); }

void add_connect(report& r, const client_pool& pool, std::uint32_t asked, std::uint32_t opened) {
    r.section("connect").count("asked", asked).count("open", opened);
    r.number("seconds", pool.connect_seconds(), 3);
}

void add_ends(report& r, const client_pool& pool) {
    r.section("ends");
    for (const auto& [why, times] : pool.ends())
        r.count(why, times);
}

void footprint::add_to(report& r, bool has_server, std::uint32_t conns) const {
    r.section("memory");
    if (has_server) {
        r.number("pss_before_mb", before.pss / 1e6, 2);
        r.number("pss_connected_mb", connected.pss / 1e6, 2);
        r.number("rss_connected_mb", connected.rss / 1e6, 2);
    }
    if (has_server && conns > 0)
        r.number("bytes_per_idle_connection", (connected.pss - before.pss) / conns, 0);
    if (conns > 0)
        r.number("kernel_bytes_per_connection_both_ends",
                 (kernel_connected - kernel_before) / conns, 0);
}

} // namespace carillon::bench
