// What tests of jobs need: a folder of their own, a channel layer and an observer that remember, and a gate for
// handlers.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/channels/channel_layer.hpp>
#include <carillon/jobs/queue.hpp>
#include <carillon/jobs/worker_pool.hpp>

#include "jobs/embedded_store.hpp"
#include "jobs/queue_core.hpp"

namespace carillon::testing {

inline steady_time soon(std::chrono::milliseconds span = std::chrono::seconds(20)) {
    return now() + span;
}

class temporary_folder {
public:
    temporary_folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "carillon-test-XXXXXX").string();
        if (!::mkdtemp(pattern.data()))
            throw error(errc::unavailable, "no temporary folder");
        path_ = pattern;
    }
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

// A list that one thread fills while another waits for what it expects.
template <class T>
class journal {
public:
    void add(T entry) {
        // Notified under the lock: whoever waits may destroy this list right after.
        std::lock_guard lock(guard_);
        entries_.push_back(std::move(entry));
        grown_.notify_all();
    }
    std::vector<T> all() const {
        std::lock_guard lock(guard_);
        return entries_;
    }
    // True when the list satisfies `enough` before the deadline.
    bool wait(const std::function<bool(const std::vector<T>&)>& enough,
              steady_time deadline = soon()) const {
        std::unique_lock lock(guard_);
        return grown_.wait_until(lock, deadline, [&] { return enough(entries_); });
    }
    bool wait_count(std::size_t n, steady_time deadline = soon()) const {
        return wait([n](const auto& entries) { return entries.size() >= n; }, deadline);
    }

private:
    mutable std::mutex guard_;
    mutable std::condition_variable grown_;
    std::vector<T> entries_;
};

struct sent_event {
    std::string to;
    event what;
};

// A channel layer that delivers nothing and remembers all.
class remembering_layer final : public channel_layer {
public:
    result<void> group_send(std::string_view group, event e) override {
        sent.add({std::string(group), std::move(e)});
        return {};
    }
    result<void> send(std::string_view channel, event e) override {
        sent.add({std::string(channel), std::move(e)});
        return {};
    }
    result<void> group_add(std::string_view, std::string_view) override { return {}; }
    result<void> group_discard(std::string_view, std::string_view) override { return {}; }

    journal<sent_event> sent;
};

// Handlers wait at it until the test opens it.
class gate {
public:
    void open() {
        std::lock_guard lock(guard_);
        open_ = true;
        opened_.notify_all();
    }
    bool pass(steady_time deadline = soon()) {
        std::unique_lock lock(guard_);
        return opened_.wait_until(lock, deadline, [&] { return open_; });
    }

private:
    std::mutex guard_;
    std::condition_variable opened_;
    bool open_ = false;
};

// What the tests of the embedded queue look at behind its interface.
inline jobs::embedded_store& stored(job_queue& queue) {
    return dynamic_cast<jobs::embedded_store&>(*queue.core()->store);
}

// A queue in a folder, with a layer that remembers. Tasks are added to `registry` before open().
struct workshop {
    explicit workshop(std::filesystem::path folder) : data_dir(std::move(folder)) {}

    job_queue& open() {
        job_queue_options options;
        options.data_dir = data_dir;
        options.poll_interval = std::chrono::milliseconds(20);
        return open(options);
    }
    job_queue& open(const job_queue_options& options) {
        job_services services{registry};
        services.layer = &layer;
        services.counters = &counted;
        queue = job_queue::open(options, services).value();
        return *queue;
    }
    // A pool with a short lease, so that nothing here takes long.
    std::unique_ptr<worker_pool>
    pool(std::uint32_t threads = 2,
         std::chrono::milliseconds lease = std::chrono::milliseconds(600)) {
        worker_options options;
        options.threads = threads;
        options.lease = lease;
        return worker_pool::start(*queue, options).value();
    }
    double metric(std::string_view name) const {
        double sum = 0;
        for (const auto& sample : counted.read())
            if (sample.name == name)
                sum += sample.value;
        return sum;
    }

    std::filesystem::path data_dir;
    job_registry registry;
    remembering_layer layer;
    metrics counted;
    std::unique_ptr<job_queue> queue;
};

} // namespace carillon::testing
