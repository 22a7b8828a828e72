// revoked_ids: the jobs that operators revoked before anybody ran them, as each worker remembers them.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <carillon/base/clock.hpp>

#include "wire/celery/control.hpp"

namespace carillon::jobs {

// Thread-safe. Keeps the newest; nothing is written to disk, so that a worker which starts while no other runs knows
// none, as in Celery.
class revoked_ids {
public:
    struct limits {
        std::size_t count = 50'000;
        std::chrono::seconds life{10'800};
    };
    revoked_ids() : revoked_ids(limits()) {}
    explicit revoked_ids(limits bounds) : bounds_(bounds) {}

    // An id that is there already becomes the newest. Ids that are empty or longer than an id may be are left out.
    void add(const std::vector<std::string>& ids, steady_time at = now());
    bool contains(std::string_view id, steady_time at = now()) const;
    std::size_t size(steady_time at = now()) const;
    // Those that still count, the oldest first, with the seconds of the steady clock at which each was added.
    std::vector<wire::celery::revoked_id> all(steady_time at = now()) const;

private:
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view id) const noexcept {
            return std::hash<std::string_view>{}(id);
        }
    };
    struct entry {
        std::string id;
        steady_time added;
    };
    void drop_oldest();
    bool is_alive(const entry& e, steady_time at) const noexcept;

    const limits bounds_;
    mutable std::mutex guard_;
    std::deque<entry> order_; // also those that became newer since: the table tells which counts
    std::unordered_map<std::string, steady_time, hash, std::equal_to<>> added_;
};

} // namespace carillon::jobs
