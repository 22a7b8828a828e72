#include "channels/redis/core_script.hpp"

#include <fmt/format.h>

namespace carillon::channels::redis {

// A key of another type must not keep the other queues from their messages; any other error ends the script.
const std::string_view deliver_script = R"(
local n, full, broken = #KEYS, 0, 0
local score, expired, expiry = ARGV[2 * n + 1], ARGV[2 * n + 2], ARGV[2 * n + 3]
for i = 1, n do
    local purged = redis.pcall('ZREMRANGEBYSCORE', KEYS[i], 0, expired)
    if type(purged) == 'table' and purged.err then
        if string.find(purged.err, 'WRONGTYPE', 1, true) ~= 1 then
            return purged
        end
        broken = broken + 1
    elseif redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[n + i]) then
        full = full + 1
    else
        local added = redis.pcall('ZADD', KEYS[i], score, ARGV[i])
        if type(added) == 'table' and added.err then
            return added
        end
        redis.call('EXPIRE', KEYS[i], expiry)
    end
end
return {full, broken}
)";

wire::redis::command deliver_command(std::string_view sha, const std::vector<queue_write>& writes,
                                     std::string_view score, std::int64_t expired_score,
                                     std::int64_t expiry_seconds) {
    wire::redis::command made(sha.empty() ? "EVAL" : "EVALSHA");
    made.add(sha.empty() ? deliver_script : sha).add(static_cast<std::int64_t>(writes.size()));
    for (const auto& one : writes)
        made.add(one.key);
    for (const auto& one : writes)
        made.add(one.message);
    for (const auto& one : writes)
        made.add(std::int64_t{one.capacity});
    made.add(score).add(expired_score).add(expiry_seconds);
    return made;
}

std::string score_text(std::int64_t micros) {
    return fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000);
}

} // namespace carillon::channels::redis
