#include <charconv>

#include "base/uuid.hpp"
#include "jobs/beat/slot_store.hpp"
#include "jobs/broker/redis_broker.hpp"
#include "jobs/store_schema.hpp"
#include "net/redis/client.hpp"

namespace carillon::jobs {

namespace {

constexpr std::chrono::seconds patience{10};

// KEYS[1]: entry -> its newest claimed moment. KEYS[2]: "moment entry" -> "until owner", where `until` is in
// milliseconds by the server's clock (those of machines differ), and 0 when the claim was released. Moments are
// microseconds, which a double holds exactly until the year 2255.
constexpr std::string_view position_script =
    "redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) return redis.call('HGET', KEYS[1], ARGV[1])";
constexpr std::string_view claim_script = R"(
local entry, slot, owner, lease, forgotten = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local field = slot .. ' ' .. entry
local held = redis.call('HGET', KEYS[2], field)
if held then
  local till, who = string.match(held, '^(%d+) (.*)$')
  if who ~= owner and tonumber(till) > now then return 1 end
elseif tonumber(redis.call('HGET', KEYS[1], entry) or '-1') >= tonumber(slot) then
  return 2
else
  redis.call('HSET', KEYS[1], entry, slot)
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local other, whose = string.match(all[i], '^(%d+) (.*)$')
    if whose == entry and tonumber(other) < forgotten and string.sub(all[i + 1], 1, 2) == '0 ' then
      redis.call('HDEL', KEYS[2], all[i])
    end
  end
end
redis.call('HSET', KEYS[2], field, string.format('%.0f %s', now + lease, owner))
return 0)";
constexpr std::string_view confirm_script =
    "return redis.call('HDEL', KEYS[2], ARGV[2] .. ' ' .. ARGV[1])";
constexpr std::string_view release_script = R"(
local field = ARGV[2] .. ' ' .. ARGV[1]
local held = redis.call('HGET', KEYS[2], field)
if held and string.match(held, ' (.*)$') == ARGV[3] then
  redis.call('HSET', KEYS[2], field, '0 ' .. ARGV[3])
end
return 0)";
constexpr std::string_view abandoned_script = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local all, found = redis.call('HGETALL', KEYS[2]), {}
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '^%d+')) <= now then found[#found + 1] = all[i] end
end
return found)";

result<utc_time> moment_in(std::string_view text) {
    std::int64_t read = 0;
    const auto* end = text.data() + text.size();
    if (text.empty() || std::from_chars(text.data(), end, read).ptr != end)
        return failure{errc::corrupt, "what Redis holds of a schedule is no moment"};
    return from_micros(read);
}

// A moment is served seldom: a connection for each question is simple, and nothing is kept open in between.
class redis_slots final : public slot_store {
public:
    redis_slots(net::redis::address where, std::string keyprefix)
        : where_(std::move(where)), prefix_(std::move(keyprefix)) {}

    result<utc_time> position(const std::string& entry, utc_time at) override {
        auto newest = run(position_script, {entry, micros(at)});
        return newest ? moment_in(newest->text) : newest.error();
    }

    result<slot_claim> claim(const std::string& entry, utc_time slot,
                             std::chrono::milliseconds lease, utc_time forgotten) override {
        auto outcome = run(claim_script, {entry, micros(slot), self_, std::to_string(lease.count()),
                                          micros(forgotten)});
        if (!outcome)
            return outcome.error();
        return outcome->number == 0   ? slot_claim::granted
               : outcome->number == 1 ? slot_claim::held
                                      : slot_claim::served;
    }

    result<void> confirm(const std::string& entry, utc_time slot) override {
        auto done = run(confirm_script, {entry, micros(slot)});
        return done ? result<void>() : done.error();
    }

    result<void> release(const std::string& entry, utc_time slot) override {
        auto done = run(release_script, {entry, micros(slot), self_});
        return done ? result<void>() : done.error();
    }

    result<std::vector<abandoned_slot>> abandoned() override {
        auto told = run(abandoned_script, {});
        if (!told)
            return told.error();
        std::vector<abandoned_slot> found;
        for (const auto& item : told->items) {
            const auto space = item.text.find(' ');
            auto slot = moment_in(std::string_view(item.text).substr(0, space));
            if (!slot || space == std::string::npos)
                return failure{errc::corrupt, "what Redis holds of a schedule is no claim"};
            found.push_back({item.text.substr(space + 1), *slot});
        }
        return found;
    }

    void give_up() override { interruption_.interrupt(); }

private:
    static std::string micros(utc_time when) { return std::to_string(to_micros(when)); }

    result<wire::redis::reply> run(std::string_view script,
                                   const std::vector<std::string>& arguments) {
        wire::redis::command asked{"EVAL", script, "2", prefix_ + "carillon:beat",
                                   prefix_ + "carillon:beat-claims"};
        for (const auto& one : arguments)
            asked.add(one);
        auto told = net::redis::ask(where_, asked, patience, &interruption_);
        if (told && told->is_error())
            return failure{errc::unavailable, "Redis refuses the schedule: " + told->text};
        return told;
    }

    const net::redis::address where_;
    const std::string prefix_;
    const std::string self_ = make_uuid();
    net::redis::interruption interruption_;
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
