#include "jobs/embedded_store.hpp"

#include "jobs/embedded_concurrency.hpp"
#include "jobs/embedded_rows.hpp"
#include "jobs/records.hpp"

namespace carillon::jobs {

namespace {

using db::sqlite::connection;

// The message as it was first sent, so that a job put back by hand has all its tries again.
result<void> renew_message(connection& on, std::int64_t seq) {
    wire::celery::encoded_message first;
    if (auto loaded = load_message(on, seq, first); !loaded)
        return loaded;
    auto message = wire::celery::decode(first.headers, first.properties, first.body);
    if (!message)
        return {}; // it fails again, with the same reason
    message->retries = 0;
    message->eta.reset();
    auto encoded = wire::celery::encode(*message);
    if (!encoded)
        return encoded.error();
    auto stored =
        on.execute("UPDATE messages SET headers = ? WHERE seq = ?", {encoded->headers, seq});
    return stored ? result<void>() : stored.error();
}

} // namespace

void embedded_store::add(new_job job, std::function<void(const result<std::string>& id)> done) {
    auto row = row_of(job.message, std::move(job.queue), options_.message_bytes_max);
    if (!row)
        return done(row.error());
    row->unique_key = std::move(job.unique_key);
    row->limit = workflow_.limit(job.message);
    count_new(row->eta.has_value());
    auto id = std::make_shared<result<std::string>>(failure{});
    group_commit::operation wanted;
    wanted.settled = [id, done = std::move(done)](const result<void>& settled) {
        done(settled ? *id : settled.error());
    };
    wanted.apply = [id, row = *std::move(row)](connection& on) -> result<void> {
        *id = add_row(on, row);
        return *id ? result<void>() : id->error();
    };
    writer_->submit(std::move(wanted));
}

// Counted at once: the measure of the last second would let a burst through.
void embedded_store::count_new(bool delayed) {
    std::lock_guard lock(changes_guard_);
    ++(delayed ? depth_.delayed : depth_.ready);
}

void embedded_store::send(
    const wire::celery::signature& workflow,
    std::function<void(const result<wire::celery::result_tuple>& sent)> done) {
    auto planned = wire::celery::send_signature(workflow, workflow_.sending());
    if (!planned)
        return done(planned.error());
    for (const auto& each : planned->messages)
        count_new(each.what.eta.has_value());
    auto plan = std::make_shared<const wire::celery::plan>(*std::move(planned));
    group_commit::operation wanted;
    wanted.settled = [plan, done = std::move(done)](const result<void>& settled) {
        done(settled ? result<wire::celery::result_tuple>(plan->children.front())
                     : settled.error());
    };
    wanted.apply = [this, plan](connection& on) {
        return whole_or_nothing(on, [&] { return embedded_workflow(on, workflow_).add(*plan); });
    };
    writer_->submit(std::move(wanted));
}

result<std::optional<job_record>> embedded_store::request_cancel(std::string_view id) {
    std::optional<job_record> before;
    auto marked = writer_->run([&](connection& on) -> result<void> {
        auto found = find_record(on, id);
        if (!found)
            return found.error();
        before = *std::move(found);
        if (!before || is_final(before->state))
            return {};
        auto done =
            on.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state < 4", {std::string(id)});
        return done ? result<void>() : done.error();
    });
    if (!marked)
        return marked.error();
    return before;
}

result<bool> embedded_store::settle_cancelled(std::string_view id, const std::string& message) {
    bool settled = false;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto changed = on.query("UPDATE jobs SET state = 6, message = ?, finished = ? "
                                "WHERE id = ? AND cancel = 1 AND state IN (-2, -1, 0, 1) "
                                "RETURNING seq, limit_key",
                                {message, to_micros(utc_now()), std::string(id)});
        if (!changed)
            return changed.error();
        settled = !changed->empty();
        if (!settled)
            return {};
        const auto seq = changed->front().at(0).to_int();
        if (const auto& key = changed->front().at(1); key.is_string())
            if (auto left = free_place(on, key.to_text()); !left)
                return left;
        return embedded_workflow(on, workflow_).cancel_after(seq, message);
    });
    if (!done)
        return done.error();
    return settled;
}

result<std::optional<bool>> embedded_store::requeue(std::string_view id) {
    std::optional<bool> outcome;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto found = on.query("SELECT seq, state FROM jobs WHERE id = ?", {std::string(id)});
        if (!found)
            return found.error();
        if (found->empty())
            return {};
        const auto state = static_cast<row_state>(found->front().at(1).to_int());
        outcome = state == row_state::failed || state == row_state::cancelled;
        if (!*outcome)
            return {};
        const auto seq = found->front().at(0).to_int();
        if (auto renewed = renew_message(on, seq); !renewed)
            return renewed;
        auto changed = on.execute(
            "UPDATE jobs SET state = 0, cancel = 0, attempts = 0, retries = 0, losses = 0, "
            "progress = 0, "
            "message = '', result = NULL, error = '', eta = NULL, expires = NULL, started = NULL, "
            "finished = NULL WHERE seq = ?",
            {seq});
        return changed ? result<void>() : changed.error();
    });
    if (!done)
        return done.error();
    return outcome;
}

result<std::int64_t> embedded_store::purge(utc_time before) {
    std::int64_t removed = 0;
    auto done = writer_->run([&](connection& on) -> result<void> {
        auto changed =
            on.execute("DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE state >= 4 "
                       "AND finished < ? LIMIT ?)",
                       {to_micros(before), purge_rows_max});
        if (!changed)
            return changed.error();
        removed = *changed;
        for (const char* sql : {"DELETE FROM chord_members WHERE group_id IN "
                                "(SELECT group_id FROM chords WHERE created < ?)",
                                "DELETE FROM chords WHERE created < ?"})
            if (auto gone = on.execute(sql, {to_micros(before)}); !gone)
                return gone.error();
        return {};
    });
    if (!done)
        return done.error();
    return removed;
}

} // namespace carillon::jobs
