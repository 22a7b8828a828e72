// held_messages: task messages that wait for their time in this worker's hands, unacknowledged, in little memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/broker/broker.hpp"
#include <carillon/base/clock.hpp>

namespace carillon::jobs {

// Each takes its encoded text and about 200 bytes. Not thread-safe.
class held_messages {
public:
    void add(utc_time eta, std::string id, const delivery& received);
    std::size_t size() const noexcept { return by_eta_.size(); }
    std::optional<utc_time> next() const;
    // Those whose time has come, the earliest first, as they were received; at most `count`.
    std::vector<delivery> take_due(utc_time at, std::size_t count);
    // Those with that id, whatever their time.
    std::vector<delivery> take(std::string_view id);
    std::vector<std::uint64_t> tags() const;
    void clear() noexcept { by_eta_.clear(); }

    struct waiting {
        utc_time eta;
        delivery received;
    };
    // The earliest, at most `count`; they stay.
    std::vector<waiting> show(std::size_t count) const;

private:
    struct packed {
        std::string id;
        std::uint64_t tag;
        bool redelivered;
        std::string text; // a JSON array of the parts and the names, without the body
        std::string body;
    };
    static delivery unpack(const packed& p);
    std::multimap<utc_time, packed> by_eta_;
};

} // namespace carillon::jobs
