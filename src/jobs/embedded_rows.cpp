#include "jobs/embedded_rows.hpp"

#include <fmt/format.h>

#include "jobs/embedded_concurrency.hpp"

namespace carillon::jobs {

namespace {

using db::sqlite::connection;
using db::sqlite::reset_at_end;

// The unfinished job that holds the key, if there is one.
result<std::optional<std::string>> holder_of(connection& on, const std::string& unique_key) {
    auto found = on.query("SELECT id FROM jobs WHERE unique_key = ? AND state < 4", {unique_key});
    if (!found)
        return found.error();
    return found->empty() ? std::optional<std::string>()
                          : std::string(found->front().at(0).to_text());
}

} // namespace

result<new_row> row_of(const wire::celery::message& m, std::string queue, std::size_t bytes_max) {
    auto encoded = wire::celery::encode(m);
    if (!encoded)
        return encoded.error();
    const auto size = encoded->headers.size() + encoded->properties.size() + encoded->body.size();
    if (size > bytes_max)
        return failure{errc::too_large, fmt::format("the arguments of the job take {} bytes of {}",
                                                    size, bytes_max)};
    return new_row{m.id, m.task, std::move(queue),   group_of(m), m.priority, m.eta, m.expires,
                   {},   {},     *std::move(encoded)};
}

result<std::string> add_row(connection& on, const new_row& job) {
    if (!job.unique_key.empty()) {
        auto holder = holder_of(on, job.unique_key);
        if (!holder)
            return holder.error();
        if (*holder)
            return **holder;
    }
    auto begins = job.eta ? row_state::delayed : row_state::ready;
    if (job.limit.max > 0 && !job.eta) {
        auto queued = has_limited(on, job.limit.key, job.queue);
        if (!queued)
            return queued.error();
        if (*queued)
            begins = row_state::limited;
    }
    auto added =
        on.query("INSERT INTO jobs (id, task, queue, state, priority, eta, expires, created, "
                 "group_name, event_type, unique_key, limit_key, limit_max) "
                 "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
                 {job.id, job.task, job.queue, static_cast<std::int64_t>(begins), job.priority,
                  micros_or_null(job.eta), micros_or_null(job.expires), to_micros(utc_now()),
                  job.heard_by.group, job.heard_by.event_type,
                  job.unique_key.empty() ? value() : value(job.unique_key),
                  job.limit.max > 0 ? value(job.limit.key) : value(),
                  job.limit.max > 0 ? value(job.limit.max) : value()});
    if (!added)
        return added.error().code == errc::conflict
                   ? failure{errc::conflict, fmt::format("a job with the id {} exists", job.id)}
                   : added.error();
    auto stored = on.execute(
        "INSERT INTO messages (seq, headers, properties, body) VALUES (?, ?, ?, ?)",
        {added->front().at(0), job.stored.headers, job.stored.properties, job.stored.body});
    return stored ? result<std::string>(job.id) : stored.error();
}

result<void> load_message(connection& on, std::int64_t seq, wire::celery::encoded_message& into) {
    auto prepared = on.cached("SELECT headers, properties, body FROM messages WHERE seq = ?");
    if (!prepared)
        return prepared.error();
    auto& found = **prepared;
    reset_at_end after(found);
    found.bind(1, seq);
    auto there = found.step();
    if (!there)
        return there.error();
    if (*there)
        into = {std::string(found.text(0)), std::string(found.text(1)), std::string(found.text(2))};
    return {};
}

} // namespace carillon::jobs
