// newest_ids: a set of ids that remembers the newest ones only, each for a time, so that it cannot grow without end.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <carillon/base/clock.hpp>

#include "wire/celery/control.hpp"

namespace carillon::jobs {

// Thread-safe. In memory only.
class newest_ids {
public:
    struct limits {
        std::size_t count;
        std::optional<std::chrono::seconds> life{}; // nothing: until newer ones take its place
        std::size_t id_chars_max = wire::celery::id_chars_max;
    };
    struct entry {
        std::string id;
        steady_time added;
    };
    explicit newest_ids(limits bounds) : bounds_(bounds) {}

    // An id that is there already becomes the newest. Ids that are empty or too long are left out.
    void add(const std::vector<std::string>& ids, steady_time at = now());
    bool contains(std::string_view id, steady_time at = now()) const;
    std::size_t size(steady_time at = now()) const;
    // Those that still count, the oldest first.
    std::vector<entry> all(steady_time at = now()) const;

private:
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view id) const noexcept {
            return std::hash<std::string_view>{}(id);
        }
    };
    void drop_oldest();
    bool is_over(steady_time added, steady_time at) const noexcept {
        return bounds_.life && added + *bounds_.life <= at;
    }
    bool counts(const entry& e, steady_time at) const noexcept;

    const limits bounds_;
    mutable std::mutex guard_;
    std::deque<entry> order_; // also those that became newer since: the table tells which counts
    std::unordered_map<std::string, steady_time, hash, std::equal_to<>> added_;
};

// Of the jobs that operators revoked before anybody ran them: Celery's. A worker that starts while no other runs knows
// none, as in Celery.
inline constexpr newest_ids::limits revoked_limits{50'000, std::chrono::hours(3)};

} // namespace carillon::jobs
