#include "jobs/embedded_workflow.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace carillon::jobs {

namespace celery = wire::celery;

namespace {

// A place that is not known is behind all others.
value score_of(const celery::chord_part& part) {
    return part.score < 1e15 ? value(part.score) : value(1e15);
}

} // namespace

result<void> embedded_workflow::add(const celery::plan& calls) {
    for (const auto& each : calls.chord_sizes) {
        auto done =
            on_.execute("INSERT OR REPLACE INTO chords (group_id, size, created) VALUES (?, ?, ?)",
                        {each.group_id, each.members, to_micros(utc_now())});
        if (!done)
            return done.error();
    }
    for (const auto& each : calls.messages)
        if (auto added = add_message(each); !added)
            return added;
    return {};
}

result<void> embedded_workflow::add_message(const celery::outgoing& o) {
    auto row = row_of(o.what, with_.route(o), with_.message_bytes_max);
    if (!row)
        return row.error();
    row->limit = with_.limit(o.what);
    // A planned row, or one that failed before it could be sent and whose predecessor was put back by hand.
    auto removed = on_.execute("DELETE FROM jobs WHERE id = ? AND cancel = 0 AND (state = -1 OR "
                               "(state = 5 AND seq NOT IN (SELECT seq FROM messages)))",
                               {row->id});
    if (!removed)
        return removed.error();
    auto added = add_row(on_, *row);
    if (added)
        return plan_steps(o.what);
    if (added.error().code != errc::conflict)
        return added.error();
    // It was sent before, or it was cancelled before its turn came.
    auto cancelled =
        on_.query("SELECT 1 FROM jobs WHERE id = ? AND (state = 6 OR cancel = 1)", {row->id});
    if (!cancelled)
        return cancelled.error();
    if (cancelled->empty())
        return {};
    for (const auto& later : celery::abandoned_steps(o.what))
        if (auto ended = end_planned(later.id, end_state::cancelled, {}); !ended)
            return ended;
    return {};
}

result<void> embedded_workflow::plan_steps(const celery::message& m) {
    if (const auto* chain = m.embed.find("chain"); chain && chain->if_array())
        for (const auto& each : *chain->if_array())
            if (auto step = celery::read_signature(each))
                if (auto done = plan_step(*step, 0); !done)
                    return done;
    if (const auto* chord = m.embed.find("chord"); chord && chord->is_object())
        if (auto body = celery::read_signature(*chord))
            return plan_step(*body, 0);
    return {};
}

result<void> embedded_workflow::plan_step(const celery::signature& s, int depth) {
    const auto text = [&](std::string_view name) {
        const auto* there = s.options.find(name);
        return std::string(there ? there->to_text() : std::string_view());
    };
    if (depth > celery::workflow_depth_max || s.subtask_type == "group")
        return {}; // a group has no record of its own
    auto task = s.task;
    if (const auto* body = s.kwargs.find("body"); body && s.subtask_type == "chord")
        task = (*body)["task"].to_text();
    if (auto id = text("task_id"); !id.empty())
        if (auto done = plan_row(id, task); !done)
            return done;
    if (const auto* chain = s.options.find("chain"); chain && chain->if_array())
        for (const auto& each : *chain->if_array())
            if (auto step = celery::read_signature(each))
                if (auto done = plan_step(*step, depth + 1); !done)
                    return done;
    return {};
}

result<void> embedded_workflow::plan_row(const std::string& id, const std::string& task) {
    auto done = on_.execute("INSERT OR IGNORE INTO jobs (id, task, queue, state, created) "
                            "VALUES (?, ?, '', -1, ?)",
                            {id.substr(0, celery::id_chars_max),
                             task.substr(0, celery::task_chars_max), to_micros(utc_now())});
    return done ? result<void>() : done.error();
}

result<void> embedded_workflow::end_planned(const std::string& id, end_state state,
                                            const std::string& error) {
    const bool failed = state == end_state::failed;
    auto done = on_.execute(
        "UPDATE jobs SET state = ?, message = ?, error = ?, finished = ? WHERE id = ? AND "
        "state = -1",
        {static_cast<std::int64_t>(failed ? row_state::failed : row_state::cancelled),
         failed ? error : std::string("Cancelled"), failed ? error : std::string(),
         to_micros(utc_now()), id});
    return done ? result<void>() : done.error();
}

result<void> embedded_workflow::follow(const consequences& what, const ended_job& after) {
    if (what.calls)
        if (auto added = add(*what.calls); !added)
            return added;
    const auto status = status_of(after.state);
    for (const auto& later : what.abandoned) {
        if (auto done = end_planned(later.id, after.state, after.error); !done)
            return done;
        if (auto part = celery::end_of_member(later, status, after.outcome))
            if (auto done = add_part(stand_in(later, after.of), *part); !done)
                return done;
    }
    return what.part ? add_part(after.of, *what.part) : result<void>();
}

result<void> embedded_workflow::cancel_after(std::int64_t seq, const std::string& message) {
    celery::encoded_message stored;
    if (auto loaded = load_message(on_, seq, stored); !loaded)
        return loaded;
    auto of = celery::decode(stored.headers, stored.properties, stored.body);
    if (!of)
        return {}; // a planned step, or one that nobody could have run
    run_end end;
    end.of = std::make_shared<celery::message>(*std::move(of));
    end.state = end_state::cancelled;
    end.exception = celery::task_revoked("revoked");
    return follow(consequences_of(end, with_.sending, *with_.log),
                  {*end.of, end.state, outcome_of(end), message});
}

result<void> embedded_workflow::add_part(const celery::message& last,
                                         const celery::chord_part& part) {
    auto put = on_.execute(
        "INSERT OR REPLACE INTO chord_members (group_id, score, member) VALUES (?, ?, ?)",
        {part.group_id, score_of(part), part.member});
    if (!put)
        return put.error();
    auto counted = on_.query("SELECT (SELECT COUNT(*) FROM chord_members WHERE group_id = ?1), "
                             "(SELECT size FROM chords WHERE group_id = ?1)",
                             {part.group_id});
    if (!counted)
        return counted.error();
    const auto& row = counted->front();
    if (!celery::is_complete(row.at(0).to_int(), row.at(1).to_int(), 0))
        return {};
    return end_chord(last, part.group_id);
}

result<void> embedded_workflow::end_chord(const celery::message& last,
                                          const std::string& group_id) {
    auto found =
        on_.query("SELECT member FROM chord_members WHERE group_id = ? ORDER BY score", {group_id});
    if (!found)
        return found.error();
    std::vector<std::string> members;
    for (const auto& each : *found)
        members.emplace_back(each.at(0).to_text());
    for (const char* sql :
         {"DELETE FROM chord_members WHERE group_id = ?", "DELETE FROM chords WHERE group_id = ?"})
        if (auto gone = on_.execute(sql, {group_id}); !gone)
            return gone.error();
    auto end = celery::end_of_chord(last, members, with_.sending());
    if (!end) {
        with_.log->error("a chord cannot be ended",
                         {{"group", group_id}, {"error", end.error().message}});
        return {};
    }
    if (!end->error)
        return add(end->body);
    const auto error = celery::to_failure(*end->error).message;
    if (auto done = end_planned(end->body_id, end_state::failed, error); !done)
        return done;
    // What would have followed the body follows it into failure.
    celery::message body;
    body.id = end->body_id;
    body.embed.append("chain", (*last.embed.find("chord"))["options"]["chain"]);
    for (const auto& later : celery::abandoned_steps(body))
        if (auto done = end_planned(later.id, end_state::failed, error); !done)
            return done;
    return add(end->errbacks);
}

} // namespace carillon::jobs
