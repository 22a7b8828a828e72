// Workflows: calls that follow one another, calls side by side, and what is to happen afterwards.
//
//     queue.enqueue(call("reports.fetch", array{url})
//                       .then(call("reports.parse"))
//                       .then(call("reports.notify", array{"done"}).immutable()));
//     queue.enqueue(group({call("sum", array{1, 2}), call("sum", array{3, 4})}).then(call("total")));
//
// A workflow is Celery's canvas: its parts may be tasks of Celery's workers, too. The result of a call goes in front of
// the arguments of what follows it; that of a group is the list of its results.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/value.hpp>
#include <carillon/jobs/job.hpp>

namespace carillon {

// A call that is still to be made: a task with its arguments, a chain or a group. A value; not thread-safe to change.
class call {
public:
    explicit call(std::string_view task, job_arguments arguments = {});

    // --- options of a single call. A chain takes id() and on_success() for its last step, on_error() for every step; a
    // group id() for itself, on_error() for every member.
    call id(std::string_view own) const;
    call queue(std::string_view name) const;
    call countdown(std::chrono::milliseconds wait) const;
    call eta(utc_time when) const;
    call expires(utc_time when) const;
    call priority(int level) const; // as enqueue_options has it
    // Takes no result in front of its arguments.
    call immutable() const;

    // --- what follows
    // `next` starts when this has completed, with the result in front of its arguments. When this fails, what follows
    // fails with it.
    call then(const call& next) const;
    // Besides the result that this has of its own, `callback` is called with it.
    call on_success(const call& callback) const;
    // `callback` is called with the id of what failed in front of its arguments.
    call on_error(const call& callback) const;

    // As Celery writes it.
    const value& signature() const noexcept { return signature_; }

private:
    friend call group(const std::vector<call>& members);
    call() = default;
    call with(std::string_view option, value content) const;
    call with_link(std::string_view option, const call& callback) const;
    std::string_view kind() const noexcept;

    value signature_;
};

// Calls side by side. A result of the whole exists where something follows it.
call group(const std::vector<call>& members);

} // namespace carillon
