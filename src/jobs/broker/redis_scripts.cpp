#include "jobs/broker/redis_scripts.hpp"

namespace carillon::jobs::redis {

namespace {

// In each script that moves a message the second copy is written before the first is removed: a write that the server
// refuses ends the script, and must not end the message.

constexpr std::string_view take_text = R"(
local unacked, index = KEYS[1], KEYS[2]
local wanted, queues = tonumber(ARGV[1]), tonumber(ARGV[2])
local bytes_max, budget = tonumber(ARGV[3]), tonumber(ARGV[4])
local holder, number = ARGV[5], tonumber(ARGV[6])
local t = redis.call('TIME')
local now = string.format('%d.%06d', t[1], t[2])
local out = {}
for first = 3, #KEYS, queues do
    local left, dry = queues, {}
    while left > 0 do
        for i = 0, queues - 1 do
            if not dry[i] then
                if wanted == 0 or budget <= 0 then
                    return out
                end
                local e = redis.pcall('LINDEX', KEYS[first + i], -1)
                if type(e) ~= 'string' then
                    dry[i] = true
                    left = left - 1
                else
                    wanted = wanted - 1
                    budget = budget - #e
                    out[#out + 1] = i
                    if #e > bytes_max then
                        out[#out + 1] = #e
                    else
                        if string.find(e, '^%s*{') then
                            local field = holder .. string.format('%d', number)
                            redis.call('HSET', unacked, field, '[' .. e .. ARGV[7 + i])
                            redis.call('ZADD', index, now, field)
                        end
                        out[#out + 1] = e
                    end
                    redis.call('RPOP', KEYS[first + i])
                    number = number + 1
                end
            end
        end
    end
end
return out
)";

constexpr std::string_view ack_text = R"(
redis.call('ZREM', KEYS[2], unpack(ARGV))
return redis.call('HDEL', KEYS[1], unpack(ARGV))
)";

constexpr std::string_view touch_text = R"(
local t = redis.call('TIME')
local now = string.format('%d.%06d', t[1], t[2])
for i = 1, #ARGV do
    redis.call('ZADD', KEYS[2], 'XX', now, ARGV[i])
end
return #ARGV
)";

constexpr std::string_view reclaim_text = R"(
local t = redis.call('TIME')
local now = string.format('%d.%06d', t[1], t[2])
local out = {}
for i = 1, #ARGV do
    local e = redis.call('HGET', KEYS[1], ARGV[i])
    if e then
        redis.call('ZADD', KEYS[2], now, ARGV[i])
        out[#out + 1] = ARGV[i]
        out[#out + 1] = e
    end
end
return out
)";

constexpr std::string_view delay_text = R"(
local e = redis.call('HGET', KEYS[1], ARGV[1])
if not e then
    return 0
end
if redis.call('ZADD', KEYS[3], ARGV[2], ARGV[3] .. '\n' .. string.sub(e, 2, #e - #ARGV[4])) == 1 then
    redis.call('HINCRBY', KEYS[3] .. ':counts', ARGV[3], 1)
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
)";

// A list whose key holds something else must not keep the others from theirs: its messages are tried again later.
constexpr std::string_view due_text = R"(
local t = redis.call('TIME')
local now = string.format('%d.%06d', t[1], t[2])
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, m in ipairs(found) do
    local cut = string.find(m, '\n', 1, true) or 0
    local moved = redis.pcall('LPUSH', string.sub(m, 1, cut - 1), string.sub(m, cut + 1))
    if type(moved) == 'table' and moved.err then
        redis.call('ZADD', KEYS[1], tonumber(now) + 60, m)
    else
        redis.call('ZREM', KEYS[1], m)
        redis.call('HINCRBY', KEYS[1] .. ':counts', string.sub(m, 1, cut - 1), -1)
    end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[2] then
    redis.call('DEL', KEYS[1] .. ':counts')
    return {#found, -1}
end
return {#found, math.max(0, math.ceil((tonumber(first[2]) - tonumber(now)) * 1000))}
)";

constexpr std::string_view overdue_text = R"(
if redis.call('EXISTS', KEYS[3]) == 1 then
    return {}
end
local t = redis.call('TIME')
local until_then = string.format('%d.%06d', t[1] - ARGV[1], t[2])
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', until_then, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local out = {}
for i = 1, #found, 2 do
    local e = redis.call('HGET', KEYS[1], found[i])
    if e then
        out[#out + 1] = found[i]
        out[#out + 1] = found[i + 1]
        out[#out + 1] = e
    else
        redis.call('ZREM', KEYS[2], found[i])
    end
end
return out
)";

constexpr std::string_view held_by_text = R"(
local out = {}
local found = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #found, 2 do
    if string.sub(found[i], 1, #ARGV[1]) == ARGV[1] then
        local e = redis.call('HGET', KEYS[1], found[i])
        if e then
            out[#out + 1] = found[i]
            out[#out + 1] = found[i + 1]
            out[#out + 1] = e
            if #out >= 3 * tonumber(ARGV[2]) then
                return out
            end
        else
            redis.call('ZREM', KEYS[2], found[i])
        end
    end
end
return out
)";

constexpr std::string_view restore_text = R"(
local field, score, separator, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local prefix, suffix, element = ARGV[5], ARGV[6], ARGV[7]
if score ~= '' and redis.call('ZSCORE', KEYS[2], field) ~= score then
    return 0
end
if redis.call('HEXISTS', KEYS[1], field) == 0 then
    redis.call('ZREM', KEYS[2], field)
    return 0
end
local bound, meant = {}, {}
if KEYS[3] then
    for _, m in ipairs(redis.call('SMEMBERS', KEYS[3])) do
        local a = string.find(m, separator, 1, true)
        local b = a and string.find(m, separator, a + #separator, true)
        if b then
            local queue = string.sub(m, b + #separator)
            bound[#bound + 1] = queue
            if string.sub(m, 1, a - 1) == key then
                meant[#meant + 1] = queue
            end
        end
    end
end
if #meant == 0 then
    meant = #bound > 0 and bound or {key}
end
for _, queue in ipairs(meant) do
    redis.call('RPUSH', prefix .. queue .. suffix, element)
end
redis.call('ZREM', KEYS[2], field)
redis.call('HDEL', KEYS[1], field)
return 1
)";

constexpr std::string_view set_aside_text = R"(
local e = redis.call('HGET', KEYS[1], ARGV[1])
if e then
    redis.call('LPUSH', KEYS[3], e)
    redis.call('LTRIM', KEYS[3], 0, 999)
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
)";

constexpr std::string_view heartbeat_text = R"(
local t = redis.call('TIME')
local now = string.format('%d.%06d', t[1], t[2])
local dead = string.format('%d.%06d', t[1] - ARGV[2], t[2])
local out = {redis.call('ZADD', KEYS[1], now, ARGV[1])}
for _, one in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', dead, 'LIMIT', 0, 8)) do
    out[#out + 1] = one
end
return out
)";

constexpr std::string_view bury_text = R"(
local lease = tonumber(ARGV[2])
local seen = redis.call('ZSCORE', KEYS[1], ARGV[1])
if lease >= 0 and seen then
    local t = redis.call('TIME')
    if tonumber(seen) > t[1] - lease then
        return 0
    end
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[3])
redis.call('DEL', KEYS[4])
return 1
)";

constexpr std::string_view pop_text = R"(
local out = {}
for i = 1, tonumber(ARGV[1]) do
    local e = redis.call('RPOP', KEYS[1])
    if not e then
        return out
    end
    out[i] = e
end
return out
)";

constexpr std::string_view reply_text = R"(
local separator, key = ARGV[1], ARGV[2]
local sent = 0
for _, m in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local a = string.find(m, separator, 1, true)
    local b = a and string.find(m, separator, a + #separator, true)
    if b and string.sub(m, 1, a - 1) == key then
        local list = ARGV[3] .. string.sub(m, b + #separator)
        redis.call('LPUSH', list, ARGV[4])
        redis.call('EXPIRE', list, ARGV[5])
        sent = sent + 1
    end
end
return sent
)";

} // namespace

const std::string_view publish_script = R"(
local seen = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local failed = {}
if seen >= tonumber(ARGV[2]) then
    return failed
end
for i = 3, #ARGV, 3 do
    local done
    if ARGV[i + 1] == '' then
        done = redis.pcall('LPUSH', ARGV[i], ARGV[i + 2])
    else
        done = redis.pcall('ZADD', KEYS[2], ARGV[i + 1], ARGV[i] .. '\n' .. ARGV[i + 2])
        if done == 1 then
            redis.pcall('HINCRBY', KEYS[2] .. ':counts', ARGV[i], 1)
        end
    end
    if type(done) == 'table' and done.err then
        failed[#failed + 1] = i / 3
        failed[#failed + 1] = done.err
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return failed
)";

scripts::scripts()
    : take(take_text), ack(ack_text), touch(touch_text), reclaim(reclaim_text), delay(delay_text),
      due(due_text), overdue(overdue_text), held_by(held_by_text), restore(restore_text),
      set_aside(set_aside_text), heartbeat(heartbeat_text), bury(bury_text), pop(pop_text),
      reply(reply_text) {}

void scripts::load(net::redis::client& on) {
    for (auto* one : {&take, &ack, &touch, &reclaim, &delay, &due, &overdue, &held_by, &restore,
                      &set_aside, &heartbeat, &bury, &pop, &reply})
        one->load(on);
}

} // namespace carillon::jobs::redis
