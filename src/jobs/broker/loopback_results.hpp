// For tests: a result store inside this process, which keeps the promises of result_store.hpp and can be made to fail.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/test_support.hpp"
#include "jobs/broker/result_store.hpp"
#include "jobs/broker/test_errands.hpp"

namespace carillon::testing {

// Records that several result stores of a test share.
struct loopback_records {
    std::mutex guard;
    std::condition_variable changed;
    std::map<std::string, std::vector<wire::celery::result_record>> of; // the newest last
    std::map<std::string, std::int64_t> chord_sizes;
    std::map<std::string, std::map<double, std::string>> chord_parts;
    std::map<std::string, std::string> unique;
    int refusals = 0; // so many puts fail
    // Whoever watches an id, in any of the stores.
    using hearer = std::function<void(const wire::celery::result_record&)>;
    std::map<std::pair<const void*, std::string>, hearer> watches;

    template <class Condition>
    bool wait(Condition enough, std::chrono::seconds span = std::chrono::seconds(20)) {
        std::unique_lock lock(guard);
        return changed.wait_for(lock, span, [&] { return enough(*this); });
    }
    std::vector<std::string> statuses(const std::string& id) {
        std::lock_guard lock(guard);
        std::vector<std::string> all;
        for (const auto& each : of[id])
            all.push_back(each.status);
        return all;
    }
    wire::celery::result_record last(const std::string& id) {
        std::lock_guard lock(guard);
        return of[id].empty() ? wire::celery::result_record() : of[id].back();
    }
};

class loopback_results final : public jobs::result_store {
public:
    loopback_results(std::shared_ptr<loopback_records> records, std::string reply_to = {})
        : records_(std::move(records)), reply_to_(std::move(reply_to)) {}
    ~loopback_results() override {
        {
            std::lock_guard lock(records_->guard);
            std::erase_if(records_->watches,
                          [&](const auto& each) { return each.first.first == this; });
        }
        errands_.stop();
    }

    void put(record what, std::string, std::string, told done) override {
        errands_.post([this, what = std::move(what), done = std::move(done)] {
            if (!stored(what))
                return done(failure{errc::unavailable, "the result store is away"});
            done({});
        });
    }
    void get(std::string id,
             std::function<void(const result<std::optional<record>>&)> hears) override {
        errands_.post([this, id = std::move(id), hears = std::move(hears)] {
            std::optional<record> found;
            {
                std::lock_guard lock(records_->guard);
                if (auto there = records_->of.find(id);
                    there != records_->of.end() && !there->second.empty())
                    found = there->second.back();
            }
            hears(found);
        });
    }
    void watch(std::string id, std::function<void(const record&)> heard, told ready) override {
        errands_.post(
            [this, id = std::move(id), heard = std::move(heard), ready = std::move(ready)] {
                std::optional<record> found;
                {
                    std::lock_guard lock(records_->guard);
                    records_->watches[{this, id}] = [this, heard](const record& what) {
                        errands_.post([heard, what] { heard(what); });
                    };
                    if (auto there = records_->of.find(id);
                        there != records_->of.end() && !there->second.empty())
                        found = there->second.back();
                }
                ready({});
                if (found)
                    heard(*found);
            });
    }
    // Nothing that is asked or heard from now on is told before `again` is open.
    void stand_still(gate& again) {
        errands_.post([&again] { again.pass(); });
    }
    void forget(std::string id) override {
        errands_.post([this, id = std::move(id)] {
            std::lock_guard lock(records_->guard);
            records_->watches.erase({this, id});
        });
    }
    std::string reply_to() override { return reply_to_; }
    void put_chord_size(wire::celery::chord_size size, told done) override {
        errands_.post([this, size, done = std::move(done)] {
            {
                std::lock_guard lock(records_->guard);
                records_->chord_sizes[size.group_id] = size.members;
            }
            done({});
        });
    }
    void add_chord_part(wire::celery::chord_part part,
                        std::function<void(const result<std::optional<std::vector<std::string>>>&)>
                            hears) override {
        errands_.post([this, part = std::move(part), hears = std::move(hears)] {
            std::optional<std::vector<std::string>> complete;
            {
                std::lock_guard lock(records_->guard);
                auto& parts = records_->chord_parts[part.group_id];
                parts[part.score] = part.member;
                if (wire::celery::is_complete(static_cast<std::int64_t>(parts.size()),
                                              records_->chord_sizes[part.group_id], 0)) {
                    complete.emplace();
                    for (const auto& [score, member] : parts)
                        complete->push_back(member);
                }
            }
            hears(complete);
        });
    }
    void forget_chord(std::string group_id, told done) override {
        errands_.post([this, group_id = std::move(group_id), done = std::move(done)] {
            {
                std::lock_guard lock(records_->guard);
                records_->chord_sizes.erase(group_id);
                records_->chord_parts.erase(group_id);
                records_->changed.notify_all();
            }
            done({});
        });
    }
    void claim_unique(std::string key, std::string id, std::chrono::seconds,
                      std::function<void(const result<std::string>&)> holder) override {
        errands_.post([this, key = std::move(key), id = std::move(id), holder = std::move(holder)] {
            std::string whose;
            {
                std::lock_guard lock(records_->guard);
                whose = records_->unique.try_emplace(key, id).first->second;
            }
            holder(whose);
        });
    }
    void release_unique(std::string key, std::string id, told done) override {
        errands_.post([this, key = std::move(key), id = std::move(id), done = std::move(done)] {
            {
                std::lock_guard lock(records_->guard);
                if (auto there = records_->unique.find(key);
                    there != records_->unique.end() && there->second == id)
                    records_->unique.erase(there);
            }
            done({});
        });
    }
    result<void> status() const override { return {}; }
    const std::string& name() const noexcept override { return name_; }

private:
    bool stored(const record& what) {
        std::lock_guard lock(records_->guard);
        records_->changed.notify_all();
        if (records_->refusals > 0) {
            --records_->refusals;
            return false;
        }
        auto& history = records_->of[what.task_id];
        if (history.empty() || history.back().status != wire::celery::state::success)
            history.push_back(what);
        for (const auto& [who, hear] : records_->watches)
            if (who.second == what.task_id)
                hear(what);
        return true;
    }
    const std::string name_ = "loopback";
    std::shared_ptr<loopback_records> records_;
    const std::string reply_to_;
    errand_thread errands_;
};

} // namespace carillon::testing
