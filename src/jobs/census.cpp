#include "jobs/census.hpp"

namespace carillon::jobs {

std::vector<census::verdict> census::dead_among(const std::vector<worker_row>& workers,
                                                const std::vector<bool>& lock_held,
                                                steady_time at) {
    std::vector<verdict> dead;
    std::map<std::int64_t, sighting> present;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const auto& worker = workers[i];
        auto known = seen_.find(worker.seq);
        const bool same = known != seen_.end() && known->second.beat == worker.beat;
        const auto since = same ? known->second.first_seen : at;
        present[worker.seq] = {worker.beat, since};
        if (!lock_held[i])
            dead.push_back({worker.seq, true});
        else if (at - since > worker.lease)
            dead.push_back({worker.seq, false});
    }
    seen_ = std::move(present);
    return dead;
}

} // namespace carillon::jobs
