// What can go wrong, as a vocabulary: the codes, the failure value of library code and the exception of
// application code. docs/errors.md maps each code to its HTTP status and WebSocket close code.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace carillon {

// Every code has one snake_case name, which users see in `{"error": {"code": …}}`.
enum class errc {
    bad_request = 1,    // the input is malformed
    unauthorized,       // nobody is signed in
    forbidden,          // signed in, but not allowed
    not_found,          // no such object
    method_not_allowed, // the path exists, not with this method
    conflict,           // the object is in another state than the request needs
    too_large,          // a named limit on size was passed
    unsupported_media,  // a content type that is not read here
    invalid,            // well-formed, but a field has a value it cannot have
    too_many_requests,  // a named limit on rate was passed
    unavailable,        // a peer (database, broker, layer) cannot be reached now
    channel_full,       // a channel holds its capacity of messages
    timed_out,          // a deadline passed
    cancelled,          // whoever asked no longer wants the answer
    closed,             // the other side has gone
    corrupt,            // stored or received data breaks its own format
    internal,           // a defect of this program
};

// The snake_case name, such as "not_found". Never null, for any value.
std::string_view name_of(errc code) noexcept;

// Why an operation did not succeed. `message` is one sentence for the person who has to act on it.
struct failure {
    errc code = errc::internal;
    std::string message;
};

// The exception of the application surface: handlers, consumers and jobs may throw it, and the framework
// answers with its code. Library code inside returns result<T> instead.
class error : public std::runtime_error {
public:
    error(errc code, const std::string& message) : std::runtime_error(message), code_(code) {}
    explicit error(failure why) : error(why.code, why.message) {}
    errc code() const noexcept { return code_; }

private:
    errc code_;
};

} // namespace carillon
