#include <carillon/jobs/registry.hpp>

#include <carillon/base/assert.hpp>

namespace carillon {

void job_context::throw_if_cancelled() const {
    switch (stopping()) {
    case stop_reason::none: return;
    case stop_reason::cancelled: throw error(errc::cancelled, "the job was cancelled");
    case stop_reason::shutdown: throw error(errc::cancelled, "the worker is shutting down");
    case stop_reason::time_limit:
        throw error(errc::cancelled, "the time limit of the job has passed");
    case stop_reason::lost: throw error(errc::cancelled, "the job has passed to another worker");
    }
}

bool is_permanent(errc code) noexcept {
    switch (code) {
    case errc::bad_request:
    case errc::unauthorized:
    case errc::forbidden:
    case errc::not_found:
    case errc::method_not_allowed:
    case errc::conflict:
    case errc::too_large:
    case errc::unsupported_media:
    case errc::invalid:
    case errc::corrupt: return true;
    default: return false;
    }
}

job_registry& job_registry::add(std::string task, job_handler run, job_options options) {
    CARILLON_ASSERT(!task.empty() && task.size() <= task_name_chars_max,
                    "a task has a name of bounded length");
    CARILLON_ASSERT(run != nullptr, "a task has a handler");
    auto [there, added] =
        entries_.try_emplace(task, entry{task, std::move(run), std::move(options)});
    CARILLON_ASSERT(added && !there->second.task.empty(), "a task is registered once");
    return *this;
}

const job_registry::entry* job_registry::find(std::string_view task) const noexcept {
    auto found = entries_.find(task);
    return found == entries_.end() ? nullptr : &found->second;
}

std::vector<std::string> job_registry::names() const {
    std::vector<std::string> all;
    for (const auto& [task, each] : entries_)
        all.push_back(task);
    return all;
}

} // namespace carillon
