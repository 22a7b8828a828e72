// Counters, declared where they are counted and read by whoever exports them.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace carillon {

// A number that only grows, or a gauge that may also fall. Thread-safe, relaxed: a reading is recent, not exact.
class counter {
public:
    void add(std::int64_t n = 1) noexcept { count_.fetch_add(n, std::memory_order_relaxed); }
    void sub(std::int64_t n = 1) noexcept { add(-n); }
    std::int64_t get() const noexcept { return count_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> count_{0};
};

// The same for one writing thread and any number of readers: counting costs no locked instruction.
class local_counter {
public:
    void add(std::int64_t n = 1) noexcept {
        count_.store(count_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void sub(std::int64_t n = 1) noexcept { add(-n); }
    std::int64_t get() const noexcept { return count_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> count_{0};
};

enum class metric_kind { counter, gauge };
using metric_labels = std::vector<std::pair<std::string, std::string>>;

struct metric_sample {
    std::string name; // Prometheus' form: carillon_connections_open, carillon_frames_sent_total
    std::string help;
    metric_kind kind;
    metric_labels labels;
    double value;
};

// All counters of one program part. References stay valid as long as the registry. Thread-safe.
class metrics {
public:
    // The same name and labels give the same counter again.
    counter& add(metric_kind kind, std::string_view name, std::string_view help,
                 metric_labels labels = {});
    // A value that is computed when it is read; `read` must be thread-safe and outlive the registry.
    void observe(metric_kind kind, std::string_view name, std::string_view help,
                 std::function<double()> read, metric_labels labels = {});
    std::vector<metric_sample> read() const;

private:
    struct entry {
        metric_kind kind;
        std::string name, help;
        metric_labels labels;
        counter count;
        std::function<double()> observed;
    };
    mutable std::mutex guard_;
    std::deque<entry> entries_;
};

} // namespace carillon
