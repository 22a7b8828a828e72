// The record of a job's state and outcome, as Celery's result stores and rpc replies hold it. Pure functions of text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/exception.hpp"
#include "wire/celery/message.hpp"

namespace carillon::wire::celery {

// The states are texts, since a task may invent its own ("PROGRESS").
namespace state {
inline constexpr std::string_view pending = "PENDING"; // also: nobody knows the id
inline constexpr std::string_view received = "RECEIVED";
inline constexpr std::string_view started = "STARTED";
inline constexpr std::string_view progress = "PROGRESS";
inline constexpr std::string_view retry = "RETRY";
inline constexpr std::string_view success = "SUCCESS";
inline constexpr std::string_view failure = "FAILURE";
inline constexpr std::string_view revoked = "REVOKED";
} // namespace state

inline constexpr std::size_t state_chars_max = 50; // the column of Celery's database store

// SUCCESS, FAILURE or REVOKED: nothing follows.
bool is_final(std::string_view status) noexcept;
// RETRY, FAILURE or REVOKED: the result is an exception.
bool holds_exception(std::string_view status) noexcept;

// A result that a record refers to: of one task, or of a group, with the chain of its parents.
struct result_tuple {
    std::string id;
    std::vector<result_tuple> parent; // none or one
    bool is_group = false;
    std::vector<result_tuple> members; // of a group
};
value to_value(const result_tuple& r);
// errc::bad_request where the shape is another.
result<result_tuple> read_result_tuple(const value& v);

struct result_record {
    std::string task_id;
    std::string status{state::pending};
    // What the task returned, the meta data of a custom state, or an exception: read_exception() and to_value().
    value outcome;
    std::string traceback; // empty: none
    // The tasks that this one sent; nothing where the writer did not know.
    std::optional<std::vector<result_tuple>> children = std::vector<result_tuple>();
    std::optional<utc_time> date_done; // of final states
    std::string group_id, parent_id;   // empty: none
    // What result_extended adds (name, args, kwargs, worker, retries, queue), stamps, and what is unknown.
    object extended;
};

enum class record_form : std::uint8_t {
    stored,       // key/value stores, times as Celery 5.6 writes them: with +00:00
    stored_naive, // the same with times as Celery 5.2 writes them: naive, in UTC
    reply,        // rpc: without date_done, group_id and parent_id
};

// JSON text. errc::invalid where the id or the status is empty or too long.
result<std::string> encode_result(const result_record& r, record_form form = record_form::stored);
// errc::bad_request where it is no JSON object, `task_id`, `status` or `result` is missing or malformed. Both forms of
// time are read, also in `date_done` of replies.
result<result_record> decode_result(std::string_view text);

// The reply as it is published to the queue `reply_to` through the default exchange. errc::invalid as encode_result().
result<message_parts> rpc_reply(const result_record& r, std::string_view correlation_id,
                                bool persistent = false);

// Whether a record may replace the stored one: nothing replaces SUCCESS, so that a late duplicate changes nothing. What
// cannot be read may be replaced.
bool may_replace(std::string_view stored);

// Adds the members of Celery's setting result_extended.
void extend(result_record& r, const message& m, std::string_view worker, std::string_view queue);

// The record of a saved group: its id and its members.
std::string encode_group(const result_tuple& group);
result<result_tuple> decode_group(std::string_view text);

// Keys and channels of the Redis result store. Each result key is also the channel on which the record is published.
class result_names {
public:
    // `_` is put after a prefix that does not end in `:`, `_`, `-` or `.`, as Celery does.
    explicit result_names(std::string_view keyprefix = {});
    std::string task(std::string_view id) const;
    std::string group(std::string_view group_id) const;
    // The three keys by which the members of a chord count: results so far, further members, members.
    std::string chord_results(std::string_view group_id) const; // a sorted set, `.j`
    std::string chord_extra(std::string_view group_id) const;   // a number, `.t`
    std::string chord_size(std::string_view group_id) const;    // a number, `.s`
    // A key that Celery does not know: `carillon:<name>` behind the prefix.
    std::string own(std::string_view name) const;

private:
    std::string prefix_;
};

} // namespace carillon::wire::celery
