#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "jobs/broker/ledger.hpp"

namespace carillon::jobs {

namespace {

class local_ledger final : public ledger {
public:
    bool counts_losses() const noexcept override { return false; }

    void ask(run_request wanted, std::function<void(const result<run_permit>&)> answered) override {
        run_permit permit;
        {
            std::lock_guard lock(guard_);
            permit.given = std::ranges::all_of(wanted.places, [&](const place& each) {
                const auto held = held_.find(each.key);
                return held == held_.end() || held->second.contains(wanted.holder) ||
                       static_cast<std::int64_t>(held->second.size()) < each.max;
            });
            if (permit.given)
                for (const auto& each : wanted.places)
                    held_[each.key].insert(wanted.holder);
        }
        answered(permit);
    }
    void leave(const run_request& given, bool) override {
        std::lock_guard lock(guard_);
        for (const auto& each : given.places) {
            const auto held = held_.find(each.key);
            if (held == held_.end())
                continue;
            held->second.erase(given.holder);
            if (held->second.empty())
                held_.erase(held);
        }
    }
    void keep(const std::vector<run_request>&) override {}

private:
    std::mutex guard_;
    std::map<std::string, std::set<std::string>> held_; // holders by key
};

} // namespace

std::unique_ptr<ledger> make_local_ledger() { return std::make_unique<local_ledger>(); }

} // namespace carillon::jobs
