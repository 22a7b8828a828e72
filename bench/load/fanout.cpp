#include "load/measurements.hpp"
#include "load/payload_mark.hpp"
#include "load/publisher.hpp"
#include "load/usage_error.hpp"

namespace carillon::bench {

namespace {

constexpr double message_timeout_s = 5; // then the message is given up and the next one sent
constexpr double run_timeout_s = 300;

// Which messages one subscriber has, as far as order and doubles need it: 64 before the newest.
struct subscriber {
    std::uint32_t next = 0;
    std::uint64_t recent = 0;
};

class fanout final : private pool_listener {
public:
    explicit fanout(const options& o)
        : o_(o), pool_(loop_, o.pool, *this),
          publisher_(make_publisher(loop_, o.publish_url, o.publish_depth)),
          subscribers_(o.pool.conns), sent_ns_(o.warmup + o.messages), arrived_(sent_ns_.size()),
          wanted_(sent_ns_.size()) {}

    outcome run();

private:
    void stretch(std::uint32_t end);
    void publish_next();
    void give_up_late_ones(std::uint64_t now);
    void message(connection& c, std::string_view text, std::uint64_t read_ns) override;
    void closed(connection& c, bool was_open, std::string_view why) override;
    enum class arrival { in_order, late, twice };
    static arrival note(subscriber& s, std::uint32_t sequence);
    report make_report(const cpu_cost& cost, const footprint& memory) const;

    const options& o_;
    event_loop loop_;
    client_pool pool_;
    std::unique_ptr<publisher> publisher_;
    std::vector<subscriber> subscribers_;
    std::vector<std::uint64_t> sent_ns_;
    std::vector<std::uint32_t> arrived_, wanted_;
    std::uint32_t opened_ = 0, published_ = 0, everywhere_ = 0;
    std::uint64_t expected_ = 0, received_ = 0, duplicated_ = 0, out_of_order_ = 0, corrupt_ = 0;
    std::uint64_t given_up_ = 0, closed_ = 0, reads_before_ = 0;
    std::uint64_t begin_ns_ = 0, last_ns_ = 0, progress_ns_ = 0;
    bool measuring_ = false;
    histogram latency_;
    std::string text_;
};

void fanout::publish_next() {
    std::uint32_t sequence = published_++;
    wanted_[sequence] = pool_.open();
    if (measuring_)
        expected_ += wanted_[sequence];
    sent_ns_[sequence] = now_ns();
    write_mark(text_, {sent_ns_[sequence], sequence}, o_.payload_bytes);
    publisher_->publish(text_);
}

void fanout::give_up_late_ones(std::uint64_t now) {
    while (everywhere_<published_&& static_cast<double>(now - sent_ns_[everywhere_])>
                   message_timeout_s *
               1e9 &&
           now - progress_ns_ > 500'000'000) {
        given_up_ += arrived_[everywhere_] < wanted_[everywhere_];
        ++everywhere_;
    }
}

// Publishes up to message `end` with at most a window of messages that are not yet with everyone.
void fanout::stretch(std::uint32_t end) {
    std::uint64_t begin = now_ns();
    progress_ns_ = begin;
    for (;;) {
        while (everywhere_ < published_ && arrived_[everywhere_] >= wanted_[everywhere_])
            ++everywhere_;
        std::uint64_t now = now_ns();
        give_up_late_ones(now);
        if (everywhere_ == end || static_cast<double>(now - begin) > run_timeout_s * 1e9)
            return;
        while (published_ < end && published_ - everywhere_ < o_.window)
            publish_next();
        loop_.poll(100);
    }
}

fanout::arrival fanout::note(subscriber& s, std::uint32_t sequence) {
    if (sequence >= s.next) {
        std::uint32_t skipped = sequence - s.next;
        s.recent = skipped >= 63 ? 1 : s.recent << (skipped + 1) | 1;
        s.next = sequence + 1;
        return arrival::in_order;
    }
    std::uint32_t age = s.next - 1 - sequence;
    if (age >= 64 || (s.recent >> age & 1))
        return arrival::twice;
    s.recent |= std::uint64_t{1} << age;
    return arrival::late;
}

void fanout::message(connection& c, std::string_view text, std::uint64_t read_ns) {
    std::optional<payload_mark> mark = find_mark(text);
    if (!mark)
        return; // a greeting of the server, say
    if (mark->sequence >= published_ || sent_ns_[mark->sequence] != mark->sent_ns) {
        ++corrupt_;
        return;
    }
    bool counts = measuring_ && mark->sequence >= o_.warmup;
    arrival how = note(subscribers_[c.index()], mark->sequence);
    if (how == arrival::twice) {
        duplicated_ += counts;
        return;
    }
    out_of_order_ += counts && how == arrival::late;
    ++arrived_[mark->sequence];
    progress_ns_ = read_ns;
    if (counts) {
        ++received_;
        last_ns_ = read_ns;
        latency_.add(read_ns - mark->sent_ns);
    }
}

void fanout::closed(connection& c, bool was_open, std::string_view) {
    if (!was_open)
        return;
    ++closed_;
    // What it lacks stays expected, and so counts as lost; but nobody shall wait for it.
    subscriber& s = subscribers_[c.index()];
    for (std::uint32_t i = everywhere_; i < published_; ++i) {
        bool has = i < s.next && (s.next - 1 - i >= 64 || (s.recent >> (s.next - 1 - i) & 1));
        if (!has && wanted_[i] > 0)
            --wanted_[i];
    }
}

report fanout::make_report(const cpu_cost& cost, const footprint& memory) const {
    report r("fanout");
    double wall = last_ns_ > begin_ns_ ? static_cast<double>(last_ns_ - begin_ns_) / 1e9 : 0;
    double received = static_cast<double>(received_);
    r.section("parameters").count("conns", o_.pool.conns).count("messages", o_.messages);
    r.count("window", o_.window)
        .count("payload_bytes", o_.payload_bytes)
        .count("warmup", o_.warmup);
    add_connect(r, pool_, o_.pool.conns, opened_);
    r.section("deliveries").count("expected", expected_).count("received", received_);
    r.count("lost", expected_ - received_).count("duplicated", duplicated_);
    r.count("out_of_order", out_of_order_).count("corrupt", corrupt_);
    r.count("messages_given_up", given_up_).count("publish_errors", publisher_->errors());
    if (publisher_->errors() > 0)
        r.text("last_publish_error", publisher_->last_error());
    r.count("closed_during_run", closed_);
    r.number("wall_s", wall, 4).number("deliveries_per_s", wall > 0 ? received / wall : 0, 0);
    double reads = static_cast<double>(pool_.reads() - reads_before_);
    r.number("deliveries_per_read", reads > 0 ? received / reads : 0, 2);
    r.latency(latency_);
    r.cpu(cost, "delivery", received);
    memory.add_to(r, !o_.server_pids.empty(), opened_);
    add_ends(r, pool_);
    return r;
}

outcome fanout::run() {
    footprint memory;
    memory.before = read_memory(o_.server_pids);
    memory.kernel_before = read_kernel_memory();
    opened_ = pool_.connect_all();
    loop_.run_for(o_.settle_s);
    memory.connected = read_memory(o_.server_pids);
    memory.kernel_connected = read_kernel_memory();
    publisher_->open();
    stretch(o_.warmup);
    loop_.run_for(0.05); // nothing of the warm-up may be under way when the clocks are read
    measuring_ = true;
    reads_before_ = pool_.reads();
    meter_reading before = read_meter(o_.server_pids);
    begin_ns_ = now_ns();
    stretch(o_.warmup + o_.messages);
    cpu_cost cost = cost_between(before, read_meter(o_.server_pids));
    bool complete = opened_ == o_.pool.conns && received_ == expected_ && received_ > 0 &&
                    duplicated_ + out_of_order_ + corrupt_ + closed_ == 0;
    return {make_report(cost, memory), complete};
}

} // namespace

outcome measure_fanout(const options& o) {
    if (o.publish_url.empty())
        throw usage_error("fanout needs --publish-url");
    if (o.window == 0 || o.messages == 0)
        throw usage_error("--window and --messages are at least 1");
    return fanout(o).run();
}

} // namespace carillon::bench
