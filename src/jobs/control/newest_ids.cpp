#include "jobs/control/newest_ids.hpp"

namespace carillon::jobs {

void newest_ids::add(const std::vector<std::string>& ids, steady_time at) {
    std::lock_guard lock(guard_);
    for (const auto& id : ids) {
        if (id.empty() || id.size() > bounds_.id_chars_max)
            continue;
        auto& added = added_[id];
        if (added == at)
            continue;
        added = at;
        order_.push_back({id, at});
    }
    // Ids that were added again and again leave old entries behind, which count towards the limit of memory.
    while (!order_.empty() && (added_.size() > bounds_.count || order_.size() > 2 * bounds_.count ||
                               is_over(order_.front().added, at)))
        drop_oldest();
}

void newest_ids::drop_oldest() {
    const auto& oldest = order_.front();
    if (const auto found = added_.find(oldest.id);
        found != added_.end() && found->second == oldest.added)
        added_.erase(found);
    order_.pop_front();
}

bool newest_ids::counts(const entry& e, steady_time at) const noexcept {
    const auto found = added_.find(e.id);
    return found != added_.end() && found->second == e.added && !is_over(e.added, at);
}

bool newest_ids::contains(std::string_view id, steady_time at) const {
    std::lock_guard lock(guard_);
    const auto found = added_.find(id);
    return found != added_.end() && !is_over(found->second, at);
}

std::size_t newest_ids::size(steady_time at) const { return all(at).size(); }

std::vector<newest_ids::entry> newest_ids::all(steady_time at) const {
    std::lock_guard lock(guard_);
    std::vector<entry> out;
    out.reserve(added_.size());
    for (const auto& e : order_)
        if (counts(e, at))
            out.push_back(e);
    return out;
}

} // namespace carillon::jobs
