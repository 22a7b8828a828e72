// Workflows in queue.db: the calls that a job makes at its end, the steps that wait for their turn as planned rows, and
// the chords. Everything here runs on the writer thread, inside its transaction.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "db/sqlite.hpp"
#include "jobs/consequences.hpp"
#include "jobs/embedded_rows.hpp"

namespace carillon::jobs {

class embedded_workflow {
public:
    struct setting {
        std::function<wire::celery::sending()> sending; // what each new message says of its sender
        std::function<std::string(const wire::celery::outgoing&)> route;
        std::function<concurrency_limit(const wire::celery::message&)> limit;
        std::size_t message_bytes_max = 0;
        logger* log = nullptr;
    };
    embedded_workflow(db::sqlite::connection& on, const setting& with) : on_(on), with_(with) {}

    // The messages of a plan as jobs, and a planned row for every step that has its id already. A step that was planned
    // becomes a job; one that was cancelled meanwhile stays so, and takes its own later steps with it.
    result<void> add(const wire::celery::plan& calls);
    // What follows from the end of the job `of`, which ended with `status`, `outcome` and, for people, `error`.
    struct ended_job {
        const wire::celery::message& of;
        end_state state;
        value outcome;
        std::string error;
    };
    result<void> follow(const consequences& what, const ended_job& after);
    // The later steps of a waiting job that was cancelled, and its part of a chord.
    result<void> cancel_after(std::int64_t seq, const std::string& message);

private:
    result<void> add_message(const wire::celery::outgoing& o);
    result<void> plan_steps(const wire::celery::message& m);
    result<void> plan_step(const wire::celery::signature& s, int depth);
    result<void> plan_row(const std::string& id, const std::string& task);
    result<void> end_planned(const std::string& id, end_state state, const std::string& error);
    result<void> add_part(const wire::celery::message& last, const wire::celery::chord_part& part);
    result<void> end_chord(const wire::celery::message& last, const std::string& group_id);

    db::sqlite::connection& on_;
    const setting& with_;
};

} // namespace carillon::jobs
