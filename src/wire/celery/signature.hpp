// Signatures (calls that are still to be made) as structs, and the message that each becomes. Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/message.hpp"
#include "wire/celery/result.hpp"

namespace carillon::wire::celery {

struct signature {
    std::string task;
    array args;
    object kwargs;
    object options; // as in apply_async(): task_id, queue, countdown, link, chord, …
    std::string
        subtask_type;       // empty: a plain task; else group, chain, chord, xmap, xstarmap, chunks
    bool immutable = false; // takes no result in front of its arguments
    object extra;           // further members, kept as they came
};

// With every member: Python's workers fail a task over one that is missing. Signatures inside options and named
// arguments are written as they are and have to be made by to_value(), too.
value to_value(const signature& s);
// errc::bad_request where it is no object with a name of a task, or a member has another kind. Members that are missing
// or null are empty.
result<signature> read_signature(const value& v);
// A list of them; null is an empty one, one signature a list of one.
result<std::vector<signature>> read_signatures(const value& v);

// What a worker or a client knows when it sends a signature.
struct sending {
    utc_time when;                       // for countdowns
    std::function<std::string()> new_id; // of tasks and groups that bring none
    std::string origin;
    std::string reply_to;  // where the signature names none
    std::string root_id;   // empty: each message is its own root
    std::string parent_id; // empty: none
};

// A message and where it goes. All three empty: to the queue that the sender's routes give for the task.
struct outgoing {
    message what;
    std::string queue, exchange, routing_key;
};

// How many members of a chord there are; to be stored, for an expiry of the results, before the last of its members is
// sent, under result_names::chord_size().
struct chord_size {
    std::string group_id;
    std::int64_t members = 0;
};

// What sending a signature amounts to. First chord_sizes, then messages, in order.
struct plan {
    std::vector<chord_size> chord_sizes;
    std::vector<outgoing> messages;
    std::vector<result_tuple> children; // one for each signature
};

// How deep groups, chains and chords may lie in each other.
inline constexpr int workflow_depth_max = 16;
// The messages of one plan may take about this much memory; every member of a group carries a result of its own.
inline constexpr std::size_t plan_bytes_max = 256u << 20;

// The plan of a signature, with `in_front` put before its arguments unless it is immutable. `then` holds the signatures
// that follow it in a chain, the next one last; nothing where it is in no chain. Groups, chains and chords become the
// messages of their parts, a group that something follows becomes a chord, as Python makes it one; other composites are
// ordinary tasks that Python's workers know (celery.map, celery.starmap, celery.chunks).
// errc::bad_request where the signature is malformed or deeper than workflow_depth_max, errc::too_large above
// plan_bytes_max, errc::invalid where no message can be made of it.
result<plan> send_signature(const signature& s, const sending& with,
                            const value* in_front = nullptr, const std::optional<array>& then = {});

// After success, before the result is stored: the callbacks, then the next step of the chain. The children of the plan
// belong into the record of `done`. `with` needs neither root_id nor parent_id.
result<plan> after_success(const message& done, const value& outcome, sending with);

// After a final failure: the errbacks, with the id of the failed task in front.
result<plan> after_failure(const message& failed, sending with);
// The later steps of the chain of a failed task, whose ids get the same state and exception.
struct abandoned_step {
    std::string id;
    std::string group_id;
    std::optional<std::int64_t> group_index;
    std::optional<signature> chord; // the step was a member of a chord, which must hear of it
};
std::vector<abandoned_step> abandoned_steps(const message& failed);

// A member of a chord has ended: what goes into the sorted set of its group, in one transaction with the expiries.
struct chord_part {
    std::string group_id;
    double score = 0;   // the place in the group; infinity where it is unknown
    std::string member; // JSON text
};
// Nothing where the message belongs to no chord. `outcome` is the result, or the exception of a failed member.
std::optional<chord_part> end_of_member(const message& m, std::string_view status,
                                        const value& outcome);
std::optional<chord_part> end_of_member(const abandoned_step& step, std::string_view status,
                                        const value& outcome);
// All members have ended: the counted results equal the stored size and the extra members.
bool is_complete(std::int64_t counted, std::int64_t size, std::int64_t extra) noexcept;

// The end of a chord.
struct chord_end {
    // All succeeded: the body, with the list of the results in order as its one argument.
    plan body{};
    // One failed: the id of the body gets FAILURE with this exception, and its errbacks are sent.
    std::optional<exception_record> error{};
    std::string body_id{};
    plan errbacks{};
};
// `members` are the texts of the sorted set in its order, `last` the member that completed it. errc::bad_request where
// a text or the body is malformed.
result<chord_end> end_of_chord(const message& last, const std::vector<std::string>& members,
                               sending with);

} // namespace carillon::wire::celery
