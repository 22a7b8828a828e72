#include <algorithm>

#include "load/measurements.hpp"

namespace carillon::bench {

namespace {

// Connect, handshake, close frame, wait for the server to close the socket; and again, on every
// connection.
class storm final : private pool_listener {
public:
    explicit storm(const options& o) : o_(o), pool_(loop_, o.pool, *this) {
        for (connection& c : pool_.connections())
            ended_.push_back(&c);
    }

    outcome run() {
        phase(std::min(0.5, o_.seconds / 4)); // warm-up
        memory_reading memory_before = read_memory(o_.server_pids);
        meter_reading before = read_meter(o_.server_pids);
        std::uint64_t handshakes = handshakes_, clean = clean_, failures = failures_;
        measuring_ = true;
        phase(o_.seconds);
        measuring_ = false;
        cpu_cost cost = cost_between(before, read_meter(o_.server_pids));
        handshakes = handshakes_ - handshakes;
        clean = clean_ - clean;
        failures = failures_ - failures;
        loop_.run_for(o_.settle_s);
        memory_reading memory_after = read_memory(o_.server_pids);
        std::uint64_t stuck = pool_.connections().size() - ended_.size();
        report r("storm");
        r.section("parameters").count("concurrent", o_.pool.conns).number("seconds", o_.seconds, 1);
        r.count("source_addresses", o_.pool.sources);
        r.section("handshakes").count("count", handshakes).count("closed_cleanly", clean);
        r.count("failed", failures).count("stuck", stuck);
        r.number("per_s", static_cast<double>(handshakes) / cost.seconds, 0);
        r.latency(latency_);
        r.cpu(cost, "handshake", static_cast<double>(handshakes));
        if (cost.has_server)
            r.section("memory")
                .number("pss_before_mb", memory_before.pss / 1e6, 2)
                .number("pss_after_mb", memory_after.pss / 1e6, 2);
        add_ends(r, pool_);
        return {std::move(r), handshakes > 0 && failures == 0 && stuck == 0};
    }

private:
    void phase(double seconds) {
        std::uint64_t end = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
        while (now_ns() < end) {
            starting_.swap(ended_); // a failed start lands in ended_ at once
            for (connection* c : starting_)
                pool_.start(*c);
            starting_.clear();
            loop_.poll(ended_.empty() ? 50 : 0);
        }
    }
    void opened(connection& c) override {
        ++handshakes_;
        if (measuring_)
            latency_.add(now_ns() - c.started_ns());
        pool_.close_politely(c);
    }
    void closed(connection& c, bool was_open, std::string_view why) override {
        bool clean = was_open && why.empty();
        clean_ += clean;
        failures_ += !clean;
        ended_.push_back(&c);
    }

    const options& o_;
    event_loop loop_;
    client_pool pool_;
    std::vector<connection*> ended_, starting_;
    std::uint64_t handshakes_ = 0, clean_ = 0, failures_ = 0;
    bool measuring_ = false;
    histogram latency_;
};

} // namespace

outcome measure_storm(const options& o) { return storm(o).run(); }

} // namespace carillon::bench
