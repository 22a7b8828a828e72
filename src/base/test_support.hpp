// What tests of any layer need: a folder of their own, a list that one thread fills while another waits, a gate,
// and what was logged and counted.
#pragma once

#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/error.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>

namespace carillon::testing {

inline steady_time soon(std::chrono::milliseconds span = std::chrono::seconds(20)) {
    return now() + span;
}

// A metric, over all of its labels.
inline double sum_of(const metrics& counted, std::string_view name) {
    double sum = 0;
    for (const auto& sample : counted.read())
        if (sample.name == name)
            sum += sample.value;
    return sum;
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

// A log that is looked at afterwards.
class remembering_log final : public logger {
public:
    bool enabled(log_level) const noexcept override { return true; }
    void write(log_level, std::string_view message,
               std::initializer_list<log_field> fields) override {
        std::string line(message);
        for (const auto& field : fields)
            line += " " + std::string(field.name) + "=" + std::string(field.content.to_text());
        lines.add(std::move(line));
    }
    std::size_t count(std::string_view part) const {
        std::size_t n = 0;
        for (const auto& line : lines.all())
            n += line.find(part) != std::string::npos;
        return n;
    }
    journal<std::string> lines;
};

} // namespace carillon::testing
