#include <charconv>

#include "base/uuid.hpp"
#include "jobs/beat/slot_store.hpp"
#include "jobs/broker/redis_broker.hpp"
#include "jobs/store_schema.hpp"
#include "net/redis/client.hpp"

namespace carillon::jobs {

namespace {

constexpr std::chrono::seconds patience{10};

// The server's clock measures leases: those of machines differ.
constexpr std::string_view position_script =
    "redis.call('HSETNX', KEYS[1], 'served', ARGV[1]) return redis.call('HGET', KEYS[1], 'served')";
// Moments are compared as numbers of microseconds, which a double holds exactly until the year 2255.
constexpr std::string_view claim_script = R"(
local slot, owner, lease = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local is = redis.call('HMGET', KEYS[1], 'served', 'held', 'owner', 'until')
if tonumber(is[1] or '-1') >= slot then return 2 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if is[3] ~= owner and tonumber(is[4] or '0') > now and tonumber(is[2] or '-1') >= slot then return 1 end
redis.call('HSET', KEYS[1], 'held', ARGV[1], 'owner', owner, 'until', string.format('%.0f', now + lease))
return 0)";
constexpr std::string_view confirm_script = R"(
if tonumber(redis.call('HGET', KEYS[1], 'served') or '-1') < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'served', ARGV[1])
end
if tonumber(redis.call('HGET', KEYS[1], 'held') or '-1') <= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'until', '0')
end
return 0)";

// A moment is served seldom: a connection for each question is simple, and nothing is kept open in between.
class redis_slots final : public slot_store {
public:
    redis_slots(net::redis::address where, std::string keyprefix)
        : where_(std::move(where)), prefix_(std::move(keyprefix)) {}

    result<utc_time> position(const std::string& entry, utc_time at) override {
        auto served = run(position_script, entry, {micros(at)});
        if (!served)
            return served.error();
        std::int64_t read = 0;
        const auto* end = served->text.data() + served->text.size();
        if (std::from_chars(served->text.data(), end, read).ptr != end || served->text.empty())
            return failure{errc::corrupt, "what Redis holds of a schedule is no moment"};
        return from_micros(read);
    }

    result<slot_claim> claim(const std::string& entry, utc_time slot,
                             std::chrono::milliseconds lease) override {
        auto outcome =
            run(claim_script, entry, {micros(slot), self_, std::to_string(lease.count())});
        if (!outcome)
            return outcome.error();
        return outcome->number == 0   ? slot_claim::granted
               : outcome->number == 1 ? slot_claim::held
                                      : slot_claim::served;
    }

    result<void> confirm(const std::string& entry, utc_time slot) override {
        auto done = run(confirm_script, entry, {micros(slot)});
        return done ? result<void>() : done.error();
    }

private:
    static std::string micros(utc_time when) { return std::to_string(to_micros(when)); }

    result<wire::redis::reply> run(std::string_view script, const std::string& entry,
                                   const std::vector<std::string>& arguments) {
        wire::redis::command asked{"EVAL", script, "1", prefix_ + "carillon-beat-" + entry};
        for (const auto& one : arguments)
            asked.add(one);
        auto told = net::redis::ask(where_, asked, patience);
        if (told && told->is_error())
            return failure{errc::unavailable, "Redis refuses the schedule: " + told->text};
        return told;
    }

    const net::redis::address where_;
    const std::string prefix_;
    const std::string self_ = make_uuid();
};

} // namespace

result<std::unique_ptr<slot_store>> open_redis_slots(const std::string& url,
                                                     std::string keyprefix) {
    auto where = redis::one_server(url);
    if (!where)
        return where.error();
    return std::unique_ptr<slot_store>(
        std::make_unique<redis_slots>(*std::move(where), std::move(keyprefix)));
}

} // namespace carillon::jobs
