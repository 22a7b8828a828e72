#include "jobs/records.hpp"

#include <fmt/format.h>

#include <carillon/wire/json.hpp>

namespace carillon::jobs {

namespace {

std::optional<utc_time> time_of(const value& micros) {
    return micros.is_null() ? std::optional<utc_time>() : from_micros(micros.to_int());
}

std::vector<std::string> texts_of(const value& json) {
    std::vector<std::string> texts;
    auto parsed = parse_json(json.to_text());
    if (auto* items = parsed ? parsed->if_array() : nullptr)
        for (const auto& each : *items)
            texts.emplace_back(each.to_text());
    return texts;
}

} // namespace

const std::string_view select_record =
    "SELECT id, task, queue, state, priority, progress, message, result, error, attempts, retries, "
    "losses, "
    "cancel, worker, group_name, event_type, created, eta, started, finished FROM jobs";

job_record record_of(const db::row& row) {
    job_record r;
    r.id = row.at(0).to_text();
    r.task = row.at(1).to_text();
    r.queue = row.at(2).to_text();
    r.state = shown_state(static_cast<row_state>(row.at(3).to_int()));
    r.priority = static_cast<std::int32_t>(row.at(4).to_int());
    r.progress = static_cast<std::int32_t>(row.at(5).to_int());
    r.message = row.at(6).to_text();
    if (auto result = parse_json(row.at(7).to_text("null")))
        r.result = *std::move(result);
    r.error = row.at(8).to_text();
    r.attempts = static_cast<std::uint32_t>(row.at(9).to_int());
    r.retries = static_cast<std::uint32_t>(row.at(10).to_int());
    r.losses = static_cast<std::uint32_t>(row.at(11).to_int());
    r.cancel_requested = row.at(12).to_int() != 0;
    r.worker = row.at(13).to_text();
    r.group = row.at(14).to_text();
    r.event_type = row.at(15).to_text();
    r.created = from_micros(row.at(16).to_int());
    r.eta = time_of(row.at(17));
    r.started = time_of(row.at(18));
    r.finished = time_of(row.at(19));
    return r;
}

worker_row worker_of(const db::row& row) {
    worker_row w;
    w.seq = row["seq"].to_int();
    w.beat = row["beat"].to_int();
    w.lease = std::chrono::milliseconds(row["lease_ms"].to_int());
    w.shown.id = row["uuid"].to_text();
    w.shown.name = row["name"].to_text();
    w.shown.pid = row["pid"].to_int();
    w.shown.threads = static_cast<std::uint32_t>(row["threads"].to_int());
    w.shown.queues = texts_of(row["queues"]);
    w.shown.registered = texts_of(row["registered"]);
    w.shown.processed = static_cast<std::uint64_t>(row["processed"].to_int());
    w.shown.started = from_micros(row["started"].to_int());
    w.shown.heartbeat = from_micros(row["heartbeat"].to_int());
    return w;
}

result<std::optional<job_record>> find_record(db::sqlite::connection& on, std::string_view id) {
    auto found = on.query(fmt::format("{} WHERE id = ?", select_record), {id});
    if (!found)
        return found.error();
    return found->empty() ? std::optional<job_record>() : record_of(found->front());
}

} // namespace carillon::jobs
