#include <cstring>

#include "load/measurements.hpp"
#include "load/usage_error.hpp"

namespace carillon::bench {

namespace {

constexpr double warm_up_s = 0.5;
constexpr std::size_t stamp_digits = 8;

// A frame that comes back ends the oldest round trip of its connection.
class echo final : private pool_listener {
public:
    explicit echo(const options& o)
        : o_(o), pool_(loop_, o.pool, *this), body_(o.payload_bytes, 'e'),
          sent_ns_(std::size_t{o.pool.conns} * o.inflight), trips_(o.pool.conns) {}

    outcome run() {
        std::uint32_t opened = pool_.connect_all();
        for (connection& c : pool_.connections()) {
            for (std::uint32_t i = 0; c.is_open() && i < o_.inflight; ++i)
                send_one(c, now_ns());
            pool_.flush(c);
        }
        loop_.run_for(warm_up_s);
        measuring_ = true;
        meter_reading before = read_meter(o_.server_pids);
        loop_.run_for(o_.seconds);
        measuring_ = false;
        cpu_cost cost = cost_between(before, read_meter(o_.server_pids));
        memory_reading memory = read_memory(o_.server_pids);
        report r("echo");
        r.section("parameters").count("conns", o_.pool.conns).count("inflight", o_.inflight);
        r.count("payload_bytes", o_.payload_bytes).number("seconds", o_.seconds, 1);
        add_connect(r, pool_, o_.pool.conns, opened);
        r.section("round_trips").count("count", done_).count("byte_exact", exact_);
        r.number("per_s", static_cast<double>(done_) / cost.seconds, 0);
        r.count("closed_during_run", opened - pool_.open());
        r.latency(latency_);
        r.cpu(cost, "message", static_cast<double>(done_));
        if (cost.has_server)
            r.section("memory").number("pss_mb", memory.pss / 1e6, 2);
        add_ends(r, pool_);
        return {std::move(r), pool_.open() == o_.pool.conns && done_ > 0 && exact_ == done_};
    }

private:
    struct trips {
        std::uint64_t sent = 0, ended = 0;
    };

    // The body of the n-th message, so that one answered twice or swallowed shows.
    std::string_view stamped(std::uint64_t n) {
        for (std::size_t i = stamp_digits; i-- > 0; n /= 10)
            body_[i] = static_cast<char>('0' + n % 10);
        return body_;
    }
    std::uint64_t& slot(const connection& c, std::uint64_t n) {
        return sent_ns_[std::size_t{c.index()} * o_.inflight +
                        static_cast<std::size_t>(n % o_.inflight)];
    }
    void send_one(connection& c, std::uint64_t now) {
        std::uint64_t n = trips_[c.index()].sent++;
        slot(c, n) = now;
        pool_.send(c, opcode::text, stamped(n));
    }
    void message(connection& c, std::string_view text, std::uint64_t read_ns) override {
        std::uint64_t n = trips_[c.index()].ended++;
        if (measuring_) {
            ++done_;
            latency_.add(read_ns - slot(c, n));
            exact_ += text == stamped(n);
        }
        send_one(c, read_ns);
    }

    const options& o_;
    event_loop loop_;
    client_pool pool_;
    std::string body_;
    std::vector<std::uint64_t> sent_ns_;
    std::vector<trips> trips_;
    std::uint64_t done_ = 0, exact_ = 0;
    bool measuring_ = false;
    histogram latency_;
};

} // namespace

outcome measure_echo(const options& o) {
    if (o.inflight == 0 || o.payload_bytes < stamp_digits)
        throw usage_error("--inflight is at least 1, --payload at least 8");
    return echo(o).run();
}

} // namespace carillon::bench
