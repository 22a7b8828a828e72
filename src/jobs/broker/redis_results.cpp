#include "jobs/broker/redis_results.hpp"

#include <cmath>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "jobs/broker/redis_context.hpp"
#include "jobs/broker/redis_watchers.hpp"
#include "net/io_thread.hpp"
#include "net/redis/script.hpp"

namespace carillon::jobs::redis {

using wire::redis::command;
using wire::redis::reply;

namespace {

// The stored text is parsed only where it may say SUCCESS; a text that cannot be read is replaced.
constexpr std::string_view put_text = R"(
local stored = redis.call('GET', KEYS[1])
if stored and string.find(stored, '"status"%s*:%s*"SUCCESS"') then
    local read, record = pcall(cjson.decode, stored)
    if read and type(record) == 'table' and record.status == 'SUCCESS' then
        return 0
    end
end
if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
else
    redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
)";

// KEYS: results, extra members, members, who completed it. ARGV: score, member, seconds, who this is.
constexpr std::string_view chord_text = R"(
local score = ARGV[1]
if score == '+inf' or redis.call('ZCOUNT', KEYS[1], score, score) == 0 then
    redis.call('ZADD', KEYS[1], score, ARGV[2])
end
local ended = redis.call('ZCARD', KEYS[1])
local size = redis.call('GET', KEYS[3])
local extra = redis.call('GET', KEYS[2]) or '0'
if ARGV[3] ~= '0' then
    for i = 1, 3 do
        redis.call('EXPIRE', KEYS[i], ARGV[3])
    end
end
if not size or ended ~= tonumber(size) + tonumber(extra) then
    return false
end
redis.call('SET', KEYS[4], ARGV[4], 'NX')
if redis.call('GET', KEYS[4]) ~= ARGV[4] then
    return false
end
if ARGV[3] ~= '0' then
    redis.call('EXPIRE', KEYS[4], ARGV[3])
end
return redis.call('ZRANGE', KEYS[1], 0, -1)
)";

constexpr std::string_view claim_text = R"(
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    return holder
end
redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
return ARGV[1]
)";

constexpr std::string_view release_text = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
)";

net::redis::client_options connection_of(std::string role, bool secondary = false) {
    net::redis::client_options out;
    out.role = std::move(role);
    out.secondary = secondary;
    return out;
}

result<void> outcome_of(const result<reply>& answer) {
    if (!answer)
        return answer.error();
    if (answer->is_error())
        return why_not(answer);
    return {};
}

class redis_results final : public result_store, private net::redis::client_events {
public:
    redis_results(const result_options& options, net::redis::address where, logger& log,
                  metrics& counted)
        : options_(options), name_(where.name()), names_(options.keyprefix), connections_(counted),
          client_(std::in_place, thread_.events(), where, connection_of("results"),
                  static_cast<net::redis::client_events&>(*this), log, connections_),
          orders_(thread_.events(), *client_, options_.timeout),
          watchers_(
              std::in_place, thread_.events(), where, connection_of("result watchers", true),
              options_.timeout, options_.result_bytes_max,
              [this](const std::string& key, auto hears) { read(key, std::move(hears)); }, log,
              connections_) {
        thread_.start();
        post([this] {
            client_->start();
            watchers_->start();
        });
    }
    ~redis_results() override {
        thread_.run([this] {
            watchers_->close();
            orders_.close();
            client_.reset(); // tells what is under way
            watchers_.reset();
        });
        thread_.stop();
    }

    void put(record what, std::string reply_to, std::string correlation_id, told done) override;
    void get(std::string id,
             std::function<void(const result<std::optional<record>>&)> heard) override;
    void watch(std::string id, std::function<void(const record&)> heard, told ready) override;
    void forget(std::string id) override {
        post([this, key = names_.task(id)] { watchers_->forget(key); });
    }
    std::string reply_to() override { return {}; }
    void put_chord_size(wire::celery::chord_size size, told done) override;
    void add_chord_part(
        wire::celery::chord_part part,
        std::function<void(const result<std::optional<std::vector<std::string>>>&)> heard) override;
    void forget_chord(std::string group_id, told done) override;
    void claim_unique(std::string key, std::string id, std::chrono::seconds life,
                      std::function<void(const result<std::string>&)> holder) override;
    void release_unique(std::string key, std::string id, told done) override;
    result<void> status() const override {
        std::lock_guard lock(guard_);
        if (trouble_.empty())
            return {};
        return failure{errc::unavailable, name_ + ": " + trouble_};
    }
    const std::string& name() const noexcept override { return name_; }

private:
    using stored_told = std::function<void(const result<std::optional<std::string>>&)>;
    template <class F>
    void post(F work) {
        thread_.events().post(std::move(work));
    }
    void order(command what, orders::told done) {
        post([this, what = std::move(what), done = std::move(done)]() mutable {
            orders_.put(
                [what = std::move(what)](net::redis::client& on, orders::told answered) {
                    on.send(what, std::move(answered));
                },
                std::move(done));
        });
    }
    void order(net::redis::script& what, std::vector<std::string> keys,
               std::vector<std::string> arguments, orders::told done) {
        post([this, &what, keys = std::move(keys), arguments = std::move(arguments),
              done = std::move(done)]() mutable {
            orders_.put(
                [&what, keys = std::move(keys),
                 arguments = std::move(arguments)](net::redis::client& on, orders::told answered) {
                    what.run(on, keys, arguments, std::move(answered));
                },
                std::move(done));
        });
    }
    // On the store's thread.
    void read(const std::string& key, stored_told heard);
    std::string expires() const {
        return std::to_string(std::max<std::int64_t>(0, options_.expires.count()));
    }
    std::string claim_of(std::string_view group_id) const {
        return names_.own("chord:") + std::string(group_id);
    }
    std::string unique_of(std::string_view key) const {
        return names_.own("unique:") + std::string(key);
    }
    void on_up() noexcept override;
    void on_down(const failure& why) noexcept override;

    const result_options options_;
    const std::string name_;
    const wire::celery::result_names names_;
    net::redis::client_counters connections_;
    net::redis::script put_{put_text}, chord_{chord_text}, claim_{claim_text},
        release_{release_text};
    net::io_thread thread_;
    std::optional<net::redis::client> client_;
    orders orders_;
    std::optional<watchers> watchers_;
    mutable std::mutex guard_;
    std::string trouble_ = "not connected yet";
};

void redis_results::on_up() noexcept {
    {
        std::lock_guard lock(guard_);
        trouble_.clear();
    }
    for (auto* one : {&put_, &chord_, &claim_, &release_})
        one->load(*client_);
    orders_.on_up();
}

void redis_results::on_down(const failure& why) noexcept {
    {
        std::lock_guard lock(guard_);
        trouble_ = why.message;
    }
    orders_.on_down();
}

void redis_results::put(record what, std::string, std::string, told done) {
    auto text = wire::celery::encode_result(what);
    if (!text)
        return post([done = std::move(done), why = text.error()] { done(why); });
    order(put_, {names_.task(what.task_id)}, {*std::move(text), expires()},
          [done = std::move(done)](const result<reply>& answer) { done(outcome_of(answer)); });
}

// One byte more than is read: so that a text that is too large does not come over the wire.
void redis_results::read(const std::string& key, stored_told heard) {
    command what{"GETRANGE", key, "0"};
    what.add(static_cast<std::int64_t>(options_.result_bytes_max));
    orders_.put(
        [what = std::move(what)](net::redis::client& on, orders::told answered) {
            on.send(what, std::move(answered));
        },
        [this, heard = std::move(heard)](result<reply> answer) {
            if (const auto done = outcome_of(answer); !done)
                return heard(done.error());
            if (answer->text.size() > options_.result_bytes_max)
                return heard(
                    failure{errc::too_large, fmt::format("the result has more than {} bytes",
                                                         options_.result_bytes_max)});
            if (answer->text.empty())
                return heard(std::optional<std::string>());
            heard(std::optional<std::string>(std::move(answer->text)));
        });
}

void redis_results::get(std::string id,
                        std::function<void(const result<std::optional<record>>&)> heard) {
    post([this, key = names_.task(id), heard = std::move(heard)] {
        read(key, [heard](const result<std::optional<std::string>>& stored) {
            if (!stored)
                return heard(stored.error());
            if (!*stored)
                return heard(std::optional<record>());
            auto decoded = wire::celery::decode_result(**stored);
            if (!decoded)
                return heard(decoded.error());
            heard(std::optional<record>(*std::move(decoded)));
        });
    });
}

void redis_results::watch(std::string id, std::function<void(const record&)> heard, told ready) {
    post([this, key = names_.task(id), heard = std::move(heard),
          ready = std::move(ready)]() mutable {
        watchers_->watch(key, std::move(heard), std::move(ready));
    });
}

// --- chords

void redis_results::put_chord_size(wire::celery::chord_size size, told done) {
    order(put_, {names_.chord_size(size.group_id)}, {std::to_string(size.members), expires()},
          [done = std::move(done)](const result<reply>& answer) { done(outcome_of(answer)); });
}

void redis_results::add_chord_part(
    wire::celery::chord_part part,
    std::function<void(const result<std::optional<std::vector<std::string>>>&)> heard) {
    const bool placed = std::isfinite(part.score);
    const auto score = placed ? fmt::format("{}", part.score) : std::string("+inf");
    const auto& group = part.group_id;
    order(chord_,
          {names_.chord_results(group), names_.chord_extra(group), names_.chord_size(group),
           claim_of(group)},
          {score, part.member, expires(), placed ? score : part.member},
          [heard = std::move(heard)](result<reply> answer) {
              if (const auto done = outcome_of(answer); !done)
                  return heard(done.error());
              if (answer->kind != reply::what::list)
                  return heard(std::optional<std::vector<std::string>>());
              std::vector<std::string> members;
              for (auto& one : answer->items)
                  members.push_back(std::move(one.text));
              heard(std::optional<std::vector<std::string>>(std::move(members)));
          });
}

void redis_results::forget_chord(std::string group_id, told done) {
    order(command{"DEL", names_.chord_results(group_id), names_.chord_extra(group_id),
                  names_.chord_size(group_id), claim_of(group_id)},
          [done = std::move(done)](const result<reply>& answer) { done(outcome_of(answer)); });
}

// --- unique jobs

void redis_results::claim_unique(std::string key, std::string id, std::chrono::seconds life,
                                 std::function<void(const result<std::string>&)> holder) {
    const auto seconds = std::max<std::int64_t>(1, life.count());
    order(claim_, {unique_of(key)}, {std::move(id), std::to_string(seconds)},
          [holder = std::move(holder)](result<reply> answer) {
              if (const auto done = outcome_of(answer); !done)
                  return holder(done.error());
              holder(std::move(answer->text));
          });
}

void redis_results::release_unique(std::string key, std::string id, told done) {
    order(release_, {unique_of(key)}, {std::move(id)},
          [done = std::move(done)](const result<reply>& answer) { done(outcome_of(answer)); });
}

} // namespace

std::unique_ptr<result_store> make_results(const result_options& options, net::redis::address where,
                                           logger& log, metrics& counted) {
    return std::make_unique<redis_results>(options, std::move(where), log, counted);
}

} // namespace carillon::jobs::redis
