#include "jobs/consequences.hpp"

namespace carillon::jobs {

namespace celery = wire::celery;

namespace {

bool has_any(const celery::message& m, std::string_view what) {
    const auto* there = m.embed.find(what);
    return there && !there->is_null() && !(there->if_array() && there->if_array()->empty());
}

} // namespace

std::string_view status_of(end_state state) noexcept {
    switch (state) {
    case end_state::completed: return celery::state::success;
    case end_state::failed: return celery::state::failure;
    case end_state::cancelled: return celery::state::revoked;
    case end_state::retried: return celery::state::retry;
    }
    return celery::state::failure;
}

value outcome_of(const run_end& end) {
    return end.state == end_state::completed ? end.result : celery::to_value(end.exception);
}

consequences consequences_of(const run_end& end, const std::function<celery::sending()>& with,
                             logger& log) {
    consequences all;
    if (!end.of || end.state == end_state::retried)
        return all;
    const auto& m = *end.of;
    const auto take = [&](result<celery::plan> planned) {
        if (planned)
            all.calls = *std::move(planned);
        else
            log.error("what follows a job cannot be read and is not sent",
                      {{"job", m.id}, {"task", m.task}, {"error", planned.error().message}});
    };
    if (end.state == end_state::completed && (has_any(m, "callbacks") || has_any(m, "chain")))
        take(celery::after_success(m, end.result, with()));
    if (end.state == end_state::failed && has_any(m, "errbacks"))
        take(celery::after_failure(m, with()));
    if (end.state != end_state::completed && has_any(m, "chain"))
        all.abandoned = celery::abandoned_steps(m);
    if (has_any(m, "chord"))
        all.part = celery::end_of_member(m, status_of(end.state), outcome_of(end));
    return all;
}

celery::message stand_in(const celery::abandoned_step& step, const celery::message& before) {
    celery::message m;
    m.id = step.id;
    m.group = step.group_id;
    m.group_index = step.group_index;
    m.parent_id = before.id;
    m.root_id = before.root_id;
    if (step.chord)
        m.embed.append("chord", celery::to_value(*step.chord));
    return m;
}

} // namespace carillon::jobs
