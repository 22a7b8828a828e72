// slot_store: which moments of a schedule have been served, so that several beats serve each once.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>

namespace carillon::jobs {

enum class slot_claim : std::uint8_t {
    granted, // the caller serves it, and confirms it
    held,    // another beat does; it is asked for again, in case that beat dies
    served,  // it, or a later one, is done
};

// Shared by beats of several processes; each has its own object and its own thread. Functions block.
class slot_store {
public:
    virtual ~slot_store() = default;

    // The newest moment of that entry that was served. An entry that nobody has seen begins at `at`: what was due
    // before is not made up for.
    virtual result<utc_time> position(const std::string& entry, utc_time at) = 0;
    // For that long; the same caller may ask again.
    virtual result<slot_claim> claim(const std::string& entry, utc_time slot,
                                     std::chrono::milliseconds lease) = 0;
    // It is served: it is not granted again to anybody, nor is one before it.
    virtual result<void> confirm(const std::string& entry, utc_time slot) = 0;
};

// A file that the beats of one machine share. Confirmed is on disk.
result<std::unique_ptr<slot_store>> open_slot_file(const std::filesystem::path& file);

// In a Redis server that beats of several machines share, in one hash for each entry. `url` as for results. Does not
// connect yet.
result<std::unique_ptr<slot_store>> open_redis_slots(const std::string& url,
                                                     std::string keyprefix = {});

} // namespace carillon::jobs
