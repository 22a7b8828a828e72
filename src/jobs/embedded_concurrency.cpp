#include "jobs/embedded_concurrency.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace carillon::jobs {

namespace {

using db::sqlite::connection;

constexpr std::int64_t put_aside_max = 1'000; // in one transaction

// `state < 4` names the index jobs_limited, which holds no finished jobs.
result<std::int64_t> held_of_key(connection& on, const std::string& key) {
    auto found = on.query("SELECT COUNT(*) FROM jobs WHERE limit_key = ? AND state IN (2, 3) AND "
                          "state < 4",
                          {key});
    return found ? result<std::int64_t>(found->front().at(0).to_int()) : found.error();
}

result<void> put_aside(connection& on, const limited_claim& job) {
    auto done = on.execute("UPDATE jobs SET state = -2, owner = NULL, worker = '', started = NULL, "
                           "attempts = attempts - ? WHERE seq = ?",
                           {job.counted ? 1 : 0, job.seq});
    return done ? result<void>() : done.error();
}

// Those behind it, so that the next claims do not meet them one by one.
result<void> put_aside_all(connection& on, const std::string& key, const std::string& queue) {
    auto done = on.execute(
        "UPDATE jobs SET state = -2 WHERE seq IN (SELECT seq FROM jobs WHERE limit_key = ? AND "
        "state = 0 AND state < 4 AND queue = ? ORDER BY priority, seq DESC LIMIT ?)",
        {key, queue, put_aside_max});
    return done ? result<void>() : done.error();
}

} // namespace

result<std::vector<std::int64_t>> keep_back(connection& on, std::vector<limited_claim> claimed) {
    // The last first: of those with one key the first ones stay.
    std::ranges::sort(claimed, [](const auto& a, const auto& b) {
        return std::pair(a.priority, -a.seq) < std::pair(b.priority, -b.seq);
    });
    std::map<std::string, std::int64_t> held;
    std::set<std::pair<std::string, std::string>> full;
    std::vector<std::int64_t> back;
    for (const auto& job : claimed) {
        auto known = held.find(job.limit.key);
        if (known == held.end()) {
            auto counted = held_of_key(on, job.limit.key);
            if (!counted)
                return counted.error();
            known = held.emplace(job.limit.key, *counted).first;
        }
        if (known->second <= job.limit.max)
            continue;
        if (auto done = put_aside(on, job); !done)
            return done.error();
        --known->second;
        back.push_back(job.seq);
        full.emplace(job.limit.key, job.queue);
    }
    for (const auto& [key, queue] : full)
        if (auto done = put_aside_all(on, key, queue); !done)
            return done.error();
    return back;
}

result<void> free_place(connection& on, std::string_view key) {
    std::string queue; // no queue has an empty name
    for (;;) {
        auto next = on.query("SELECT seq, queue FROM jobs WHERE limit_key = ? AND state = -2 AND "
                             "state < 4 AND queue > ? ORDER BY queue, priority DESC, seq LIMIT 1",
                             {std::string(key), queue});
        if (!next)
            return next.error();
        if (next->empty())
            return {};
        const auto& first = next->front();
        queue = first.at(1).to_text();
        auto done = on.execute("UPDATE jobs SET state = 0 WHERE seq = ?", {first.at(0)});
        if (!done)
            return done.error();
    }
}

result<void> free_place_of(connection& on, std::int64_t seq) {
    auto found = on.query("SELECT limit_key FROM jobs WHERE seq = ?", {seq});
    if (!found)
        return found.error();
    return found->empty() ? result<void>() : free_place(on, found->front().at(0).to_text());
}

result<std::vector<std::string>> keys_held_by(connection& on, std::int64_t owner) {
    auto found = on.query("SELECT limit_key FROM jobs WHERE owner = ? AND state IN (2, 3) AND "
                          "limit_key IS NOT NULL",
                          {owner});
    if (!found)
        return found.error();
    std::vector<std::string> keys;
    for (const auto& each : *found)
        keys.emplace_back(each.at(0).to_text());
    return keys;
}

result<std::int64_t> held_of_queue(connection& on, std::string_view queue) {
    auto found = on.query("SELECT COUNT(*) FROM jobs INDEXED BY jobs_held WHERE state IN (2, 3) "
                          "AND queue = ?",
                          {std::string(queue)});
    return found ? result<std::int64_t>(found->front().at(0).to_int()) : found.error();
}

result<bool> has_limited(connection& on, std::string_view key, std::string_view queue) {
    auto found = on.query("SELECT 1 FROM jobs WHERE limit_key = ? AND state = -2 AND state < 4 "
                          "AND queue = ? LIMIT 1",
                          {std::string(key), std::string(queue)});
    return found ? result<bool>(!found->empty()) : found.error();
}

} // namespace carillon::jobs
