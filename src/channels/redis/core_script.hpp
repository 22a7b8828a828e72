// The one script of the core layer: messages into queues, each within its capacity.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/redis/reply.hpp"

namespace carillon::channels::redis {

// KEYS are the queues. ARGV: their messages, their capacities, the score, the highest score that has expired, the
// seconds that a queue lives. Returns how many queues were full, and how many keys hold something else than a queue.
extern const std::string_view deliver_script;

struct queue_write {
    std::string key;
    std::string message;
    std::uint32_t capacity = 0;
};

// `sha` is what the server called the script when it loaded it; empty: the script itself is sent.
wire::redis::command deliver_command(std::string_view sha, const std::vector<queue_write>& writes,
                                     std::string_view score, std::int64_t expired_score,
                                     std::int64_t expiry_seconds);

// Unix time in microseconds as the score that Python would write, in seconds.
std::string score_text(std::int64_t micros);

} // namespace carillon::channels::redis
