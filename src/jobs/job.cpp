#include <carillon/jobs/job.hpp>

namespace carillon {

namespace {

constexpr std::string_view state_names[] = {"waiting", "running", "completed", "failed",
                                            "cancelled"};

value time_or_null(const std::optional<utc_time>& when) {
    return when ? value(to_iso8601(*when)) : value();
}

} // namespace

const value& job_arguments::operator[](std::string_view name) const noexcept {
    static const value nothing;
    auto* found = kwargs.find(name);
    return found ? *found : nothing;
}

const value& job_arguments::get(std::size_t position, std::string_view name) const noexcept {
    return position < args.size() ? args[position] : (*this)[name];
}

std::string_view name_of(job_state state) noexcept {
    const auto at = static_cast<std::size_t>(state);
    return at < std::size(state_names) ? state_names[at] : "unknown";
}

std::optional<job_state> job_state_of(std::string_view name) noexcept {
    for (std::size_t i = 0; i < std::size(state_names); ++i)
        if (state_names[i] == name)
            return static_cast<job_state>(i);
    return std::nullopt;
}

value to_value(const job_record& r) {
    return object{{"id", r.id},
                  {"task", r.task},
                  {"queue", r.queue},
                  {"state", name_of(r.state)},
                  {"priority", r.priority},
                  {"progress", r.progress},
                  {"message", r.message},
                  {"result", r.result},
                  {"error", r.error},
                  {"attempts", r.attempts},
                  {"retries", r.retries},
                  {"losses", r.losses},
                  {"cancel_requested", r.cancel_requested},
                  {"worker", r.worker},
                  {"group", r.group},
                  {"event_type", r.event_type},
                  {"created", to_iso8601(r.created)},
                  {"eta", time_or_null(r.eta)},
                  {"started", time_or_null(r.started)},
                  {"finished", time_or_null(r.finished)}};
}

} // namespace carillon
