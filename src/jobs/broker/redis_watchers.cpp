#include "jobs/broker/redis_watchers.hpp"

#include <utility>

namespace carillon::jobs::redis {

using wire::redis::command;
using wire::redis::reply;

namespace {

constexpr int channels_max = 500; // of one command
constexpr std::chrono::milliseconds expiry_tick{100};

} // namespace

watchers::watchers(net::loop& on, net::redis::address where, net::redis::client_options options,
                   std::chrono::milliseconds timeout, std::size_t bytes_max, reader read,
                   logger& log, net::redis::client_counters& counted)
    : loop_(on), timeout_(timeout), bytes_max_(bytes_max), read_(std::move(read)), log_(log),
      client_(on, std::move(where), std::move(options),
              static_cast<net::redis::client_events&>(*this), log, counted) {}

void watchers::watch(const std::string& key, hearer hears, result_store::told ready) {
    auto& one = watched_[key];
    one.all.push_back(std::move(hears));
    one.unready.push_back(std::move(ready));
    one.deadline = now() + timeout_;
    one.last.clear(); // the new one has heard nothing
    client_.send_push(command{"SUBSCRIBE", key});
    watch_time();
}

void watchers::forget(const std::string& key) {
    const auto found = watched_.find(key);
    if (found == watched_.end())
        return;
    const auto unready = std::move(found->second.unready);
    watched_.erase(found);
    client_.send_push(command{"UNSUBSCRIBE", key});
    for (const auto& told : unready)
        told(failure{errc::cancelled, "nobody waits for this result any more"});
}

void watchers::on_up() noexcept {
    for (auto next = watched_.begin(); next != watched_.end();) {
        command what("SUBSCRIBE");
        for (int i = 0; i < channels_max && next != watched_.end(); ++i)
            what.add((next++)->first);
        client_.send_push(what);
    }
}

void watchers::on_push(reply pushed) noexcept {
    auto& parts = pushed.items;
    if (parts.size() != 3)
        return;
    if (parts[0].text == "subscribe")
        return look(parts[1].text);
    const auto found = watched_.find(parts[1].text);
    if (parts[0].text != "message" || found == watched_.end())
        return;
    ++found->second.messages;
    hear(found->second, parts[2].text);
}

// From the subscription on nothing is missed; what was there before is read now, unless something newer was heard.
void watchers::look(const std::string& key) {
    const auto found = watched_.find(key);
    if (found == watched_.end())
        return;
    read_(key, [this, key,
                before = found->second.messages](const result<std::optional<std::string>>& stored) {
        const auto one = watched_.find(key);
        if (one == watched_.end())
            return;
        auto ready = std::exchange(one->second.unready, {});
        if (!stored) {
            if (!ready.empty() || stored.error().code != errc::unavailable)
                watched_.erase(one);
            for (const auto& told : ready)
                told(stored.error());
            return;
        }
        if (*stored && one->second.messages == before)
            hear(one->second, **stored);
        for (const auto& told : ready)
            told({});
    });
}

void watchers::hear(watched& one, const std::string& text) {
    if (text == one.last)
        return;
    if (text.size() > bytes_max_) {
        log_.error("a result that was announced is larger than is read",
                   {{"bytes", text.size()}, {"at_most", bytes_max_}});
        return;
    }
    auto read = wire::celery::decode_result(text);
    if (!read) {
        log_.warning("a result that was announced cannot be read", {{"why", read.error().message}});
        return;
    }
    one.last = text;
    const auto all = one.all; // any of them may forget it
    for (const auto& heard : all)
        heard(*read);
}

void watchers::watch_time() {
    if (expiry_ || closed_)
        return;
    expiry_ = loop_.at(now() + expiry_tick, [this] {
        expiry_.reset();
        expire();
    });
}

void watchers::expire() {
    const auto present = now();
    bool left = false;
    std::vector<result_store::told> expired;
    for (auto one = watched_.begin(); one != watched_.end();) {
        const bool waits = !one->second.unready.empty();
        if (!waits || one->second.deadline > present) {
            left = left || waits;
            ++one;
            continue;
        }
        for (auto& told : one->second.unready)
            expired.push_back(std::move(told));
        client_.send_push(command{"UNSUBSCRIBE", one->first});
        one = watched_.erase(one);
    }
    for (const auto& told : expired)
        told(failure{errc::unavailable,
                     "the result store has been away for too long: " + client_.trouble()});
    if (left)
        watch_time();
}

void watchers::close() {
    closed_ = true;
    if (expiry_)
        loop_.cancel(*std::exchange(expiry_, std::nullopt));
    for (auto& [key, one] : std::exchange(watched_, {}))
        for (const auto& told : one.unready)
            told(failure{errc::cancelled, "the result store is closed"});
}

} // namespace carillon::jobs::redis
