// slot_store: which moments of a schedule have been served, so that several beats serve each once.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>

namespace carillon::jobs {

enum class slot_claim : std::uint8_t {
    granted, // the caller serves it, then confirms or releases it
    held,    // another beat does; should that one die, it is abandoned
    served,  // it is done, or a later one was claimed first
};

struct abandoned_slot {
    std::string entry;
    utc_time slot;
};

// Shared by beats of several processes; each has its own object and its own thread. Functions block. A moment is
// claimed, then confirmed. One whose claim has run out is abandoned: anybody may claim it, however many later ones were
// served meanwhile.
class slot_store {
public:
    virtual ~slot_store() = default;

    // The newest moment of that entry that was claimed. An entry that nobody has seen begins at `at`: what was due
    // before is not made up for.
    virtual result<utc_time> position(const std::string& entry, utc_time at) = 0;
    // For that long; the same caller may ask again. Where it is granted for the first time, moments of this entry
    // before `forgotten` that were released are dropped: nobody is going to serve them.
    virtual result<slot_claim> claim(const std::string& entry, utc_time slot,
                                     std::chrono::milliseconds lease, utc_time forgotten) = 0;
    // It is served: it is not granted again.
    virtual result<void> confirm(const std::string& entry, utc_time slot) = 0;
    // The caller could not serve it: it is abandoned at once. Nothing happens where the caller does not hold it.
    virtual result<void> release(const std::string& entry, utc_time slot) = 0;
    // Of all entries.
    virtual result<std::vector<abandoned_slot>> abandoned() = 0;
    // Any thread: where the store does not answer, the call under way and later ones fail soon, with errc::cancelled.
    virtual void give_up() {}
};

// A file that the beats of one machine share. Claimed and confirmed are on disk.
result<std::unique_ptr<slot_store>> open_slot_file(const std::filesystem::path& file);

// In a Redis server that beats of several machines share, in two hashes. `url` as for results. Does not connect yet.
result<std::unique_ptr<slot_store>> open_redis_slots(const std::string& url,
                                                     std::string keyprefix = {});

} // namespace carillon::jobs
