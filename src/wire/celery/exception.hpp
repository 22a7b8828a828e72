// Exceptions between C++ and Python: which Python class a failure of ours is raised as, and what a Python exception
// means to a C++ caller. docs/protocols/celery-message.md holds the table.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/error.hpp>
#include <carillon/base/value.hpp>

namespace carillon::wire::celery {

// The object `{"exc_type", "exc_message", "exc_module"}` in the result of a failed, revoked or retried task.
struct exception_record {
    std::string type;
    array arguments;            // of the constructor
    std::string module;         // empty: null
    std::optional<errc> code{}; // ours, in a member that Python's reader does not look at
};

value to_value(const exception_record& e);
// Total: what is no such object becomes an `Exception` that says what was there. A plain text as message is one
// argument.
exception_record read_exception(const value& v);
// Python's repr: `ValueError('boom')`. For people, and for the events of failed tasks.
std::string repr(const exception_record& e);

// The nearest class that a Python caller can catch, with the message as its one argument.
exception_record to_exception(const failure& why);
// carillon::error by its code, the standard's classes by their nearest relative of Python.
exception_record to_exception(const std::exception& thrown);
// The code is the one that a Carillon worker sent, else the one of the table, else errc::internal. The message is
// `Type: text`, or the bare text where the code was sent along.
failure to_failure(const exception_record& e);

// Celery's own, which its callers know.
exception_record not_registered(std::string_view task);
exception_record task_revoked(std::string_view why); // "revoked", "terminated" or "expired"
exception_record time_limit_exceeded(double seconds, bool soft);
exception_record worker_lost(std::string_view text);
exception_record max_retries_exceeded(std::string_view task, std::string_view id);
exception_record chord_error(std::string_view dependency_id, const exception_record& raised);

} // namespace carillon::wire::celery
