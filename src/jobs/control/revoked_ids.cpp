#include "jobs/control/revoked_ids.hpp"

namespace carillon::jobs {

void revoked_ids::add(const std::vector<std::string>& ids, steady_time at) {
    std::lock_guard lock(guard_);
    for (const auto& id : ids) {
        if (id.empty() || id.size() > wire::celery::id_chars_max)
            continue;
        auto& added = added_[id];
        if (added == at)
            continue;
        added = at;
        order_.push_back({id, at});
    }
    // Ids that were revoked again and again leave old entries behind, which count towards the limit of memory.
    while (!order_.empty() && (added_.size() > bounds_.count || order_.size() > 2 * bounds_.count ||
                               order_.front().added + bounds_.life <= at))
        drop_oldest();
}

void revoked_ids::drop_oldest() {
    const auto& oldest = order_.front();
    if (const auto found = added_.find(oldest.id);
        found != added_.end() && found->second == oldest.added)
        added_.erase(found);
    order_.pop_front();
}

bool revoked_ids::is_alive(const entry& e, steady_time at) const noexcept {
    const auto found = added_.find(e.id);
    return found != added_.end() && found->second == e.added && e.added + bounds_.life > at;
}

bool revoked_ids::contains(std::string_view id, steady_time at) const {
    std::lock_guard lock(guard_);
    const auto found = added_.find(id);
    return found != added_.end() && found->second + bounds_.life > at;
}

std::size_t revoked_ids::size(steady_time at) const { return all(at).size(); }

std::vector<wire::celery::revoked_id> revoked_ids::all(steady_time at) const {
    std::lock_guard lock(guard_);
    std::vector<wire::celery::revoked_id> out;
    out.reserve(added_.size());
    for (const auto& e : order_)
        if (is_alive(e, at))
            out.push_back(
                {e.id, std::chrono::duration<double>(e.added.time_since_epoch()).count()});
    return out;
}

} // namespace carillon::jobs
