// Places are leases in Redis: of each key a sorted set of holders, by the time when their lease ends. A holder that was
// killed renews nothing, and its place is free. The server's clock counts for all.
#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "jobs/broker/ledger.hpp"
#include "jobs/broker/redis_broker.hpp"
#include "jobs/broker/redis_context.hpp"
#include "jobs/broker/redis_orders.hpp"
#include "net/io_thread.hpp"
#include "net/redis/script.hpp"

namespace carillon::jobs {

namespace redis {

using wire::redis::command;
using wire::redis::reply;

namespace {

constexpr std::chrono::seconds farewell_max{1};

// KEYS: the places, then what counts the runs, if they are counted. ARGV: holder, milliseconds of a lease, seconds of
// the count (empty: none), the limit of each place. -1 where there is no place, else the runs that did not end.
constexpr std::string_view ask_text = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local holder, life = ARGV[1], tonumber(ARGV[2])
local places = #ARGV - 3
for i = 1, places do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    if not redis.call('ZSCORE', KEYS[i], holder) and
       redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[3 + i]) then
        return -1
    end
end
for i = 1, places do
    redis.call('ZADD', KEYS[i], now + life, holder)
    redis.call('PEXPIRE', KEYS[i], life)
end
if ARGV[3] == '' then
    return 0
end
redis.call('SADD', KEYS[places + 1], holder)
redis.call('EXPIRE', KEYS[places + 1], ARGV[3])
return redis.call('SCARD', KEYS[places + 1]) - 1
)";

// KEYS: places. ARGV: holder, milliseconds. A lease that ran out is taken again: its run goes on.
constexpr std::string_view keep_text = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 1, #KEYS do
    redis.call('ZADD', KEYS[i], now + tonumber(ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return #KEYS
)";

// KEYS: the places, then what counts the runs, if they are counted. ARGV: holder, how many places, '1': the job ended.
constexpr std::string_view leave_text = R"(
for i = 1, tonumber(ARGV[2]) do
    redis.call('ZREM', KEYS[i], ARGV[1])
end
local count = KEYS[ARGV[2] + 1]
if count and ARGV[3] == '1' then
    redis.call('DEL', count)
elseif count then
    redis.call('SREM', count, ARGV[1])
end
return 1
)";

net::redis::client_options connection() {
    net::redis::client_options out;
    out.role = "job places";
    return out;
}

class redis_ledger final : public ledger, private net::redis::client_events {
public:
    redis_ledger(const ledger_options& options, net::redis::address where, logger& log,
                 metrics& counted)
        : options_(options), where_(std::move(where)), log_(log), connections_(counted) {}
    ~redis_ledger() override;

    bool counts_losses() const noexcept override { return true; }
    void ask(run_request wanted, std::function<void(const result<run_permit>&)> answered) override;
    void leave(const run_request& given, bool ended) override;
    void keep(const std::vector<run_request>& held) override;

private:
    std::vector<std::string> keys_of(const run_request& r) const;
    void begin();
    void order(net::redis::script& what, std::vector<std::string> keys,
               std::vector<std::string> arguments, orders::told done);
    std::string life() const { return std::to_string(options_.place_life.count()); }
    void on_up() noexcept override {
        for (auto* one : {&ask_, &keep_, &leave_})
            one->load(*client_);
        orders_->on_up();
    }
    void on_down(const failure&) noexcept override { orders_->on_down(); }

    const ledger_options options_;
    const net::redis::address where_;
    logger& log_;
    net::redis::client_counters connections_;
    net::redis::script ask_{ask_text}, keep_{keep_text}, leave_{leave_text};
    std::mutex guard_;
    bool begun_ = false;
    net::io_thread thread_;
    std::optional<net::redis::client> client_;
    std::optional<orders> orders_;
};

// Most processes have no jobs with limits: they need no connection.
void redis_ledger::begin() {
    std::lock_guard lock(guard_);
    if (std::exchange(begun_, true))
        return;
    client_.emplace(thread_.events(), where_, connection(),
                    static_cast<net::redis::client_events&>(*this), log_, connections_);
    orders_.emplace(thread_.events(), *client_, options_.timeout);
    thread_.start();
    thread_.events().post([this] { client_->start(); });
}

// What is left last must reach the server: else the places are free only when their leases end.
redis_ledger::~redis_ledger() {
    if (!begun_)
        return;
    auto flushed = std::make_shared<std::promise<void>>();
    auto done = flushed->get_future();
    thread_.run([&] {
        if (!client_->up())
            return flushed->set_value();
        client_->send(command{"PING"}, [flushed](const result<reply>&) { flushed->set_value(); });
    });
    done.wait_for(farewell_max);
    thread_.run([this] {
        orders_->close();
        client_.reset();
    });
    thread_.stop();
}

std::vector<std::string> redis_ledger::keys_of(const run_request& r) const {
    std::vector<std::string> keys;
    for (const auto& each : r.places)
        keys.push_back(options_.keyprefix + "carillon:places:" + each.key);
    if (!r.counted_id.empty())
        keys.push_back(options_.keyprefix + "carillon:losses:" + r.counted_id);
    return keys;
}

void redis_ledger::order(net::redis::script& what, std::vector<std::string> keys,
                         std::vector<std::string> arguments, orders::told done) {
    begin();
    thread_.events().post([this, &what, keys = std::move(keys), arguments = std::move(arguments),
                           done = std::move(done)]() mutable {
        orders_->put(
            [&what, keys = std::move(keys),
             arguments = std::move(arguments)](net::redis::client& on, orders::told answered) {
                what.run(on, keys, arguments, std::move(answered));
            },
            std::move(done));
    });
}

void redis_ledger::ask(run_request wanted,
                       std::function<void(const result<run_permit>&)> answered) {
    std::vector<std::string> arguments{
        wanted.holder, life(),
        wanted.counted_id.empty() ? std::string() : std::to_string(options_.count_life.count())};
    for (const auto& each : wanted.places)
        arguments.push_back(std::to_string(each.max));
    order(ask_, keys_of(wanted), std::move(arguments),
          [answered = std::move(answered)](const result<reply>& answer) {
              if (!answer || answer->is_error())
                  return answered(why_not(answer));
              answered(run_permit{answer->number >= 0, std::max<std::int64_t>(0, answer->number)});
          });
}

void redis_ledger::leave(const run_request& given, bool ended) {
    order(leave_, keys_of(given),
          {given.holder, std::to_string(given.places.size()), ended ? "1" : "0"},
          [this](const result<reply>& answer) {
              if (!answer || answer->is_error())
                  log_.warning("a place of a limited job stays taken until its lease ends",
                               {{"error", why_not(answer).message}});
          });
}

void redis_ledger::keep(const std::vector<run_request>& held) {
    for (const auto& each : held) {
        auto places_only = each;
        places_only.counted_id.clear();
        order(keep_, keys_of(places_only), {each.holder, life()}, [](const result<reply>&) {});
    }
}

} // namespace

} // namespace redis

result<std::unique_ptr<ledger>> make_redis_ledger(const ledger_options& options, logger& log,
                                                  metrics& counted) {
    auto where = redis::one_server(options.url);
    if (!where)
        return where.error();
    return std::unique_ptr<ledger>(
        std::make_unique<redis::redis_ledger>(options, *std::move(where), log, counted));
}

} // namespace carillon::jobs
