// Remote control: the requests that operators broadcast, the replies of the nodes, and the shapes inside them. Pure
// functions; what a command does is decided elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/message.hpp"

namespace carillon::wire::celery {

inline constexpr std::string_view pidbox_exchange = "celery.pidbox";
inline constexpr std::string_view pidbox_reply_exchange = "reply.celery.pidbox";
// A pattern of node names may be this long, and a request may name this many nodes.
inline constexpr std::size_t pattern_chars_max = 1024;
inline constexpr std::size_t destinations_max = 10'000;

// Lamport's clock after a message with that clock was received.
std::int64_t advanced(std::int64_t own, std::int64_t seen) noexcept;

struct control_request {
    std::string method;
    object arguments;
    std::optional<std::vector<std::string>> destination; // node names; nothing: every node
    std::string pattern;                                 // of node names; empty: none
    std::string matcher;                                 // "glob", "pcre"; empty: glob
    // Both empty where no answer is wanted.
    std::string ticket;
    std::string reply_exchange, reply_routing_key;
    std::int64_t clock = 0;
    double expires = 0; // seconds since 1970; 0: never

    bool wants_reply() const noexcept { return !reply_routing_key.empty(); }
};

message_parts encode_request(const control_request& r);
// errc::bad_request where it is no JSON object with a method, or a member has another kind; errc::unsupported_media for
// a content type other than JSON.
result<control_request> decode_request(const message_parts& parts);

// Whether a node is meant. errc::unsupported_media for a pattern in another language than glob: a regular expression
// of a stranger may take a worker's time without end.
result<bool> is_for(const control_request& r, std::string_view node);
// Python's fnmatchcase(): `*`, `?`, `[abc]`, `[!a-z]`. Its time is bounded by the product of both lengths.
bool glob_matches(std::string_view pattern, std::string_view text) noexcept;

struct control_reply {
    std::string node;
    value content;
    std::string ticket;
    std::int64_t clock = 0;
};
message_parts encode_reply(const control_reply& r);
// errc::bad_request where it is no object with one member.
result<control_reply> decode_reply(const message_parts& parts);

value ok_reply(const value& content);                 // {"ok": …}
value error_reply(std::string_view text);             // {"error": …}
value unknown_command_reply(std::string_view method); // as Celery says it, KeyError('…')

// A task as `active`, `reserved` and `scheduled` list it.
struct request_info {
    std::string id, name;
    // Lists and objects, or their texts where the caller asked for `safe`.
    value args = array(), kwargs = object();
    std::string type; // the name again
    std::string hostname;
    std::optional<double> time_start; // seconds since 1970
    bool acknowledged = false;
    std::string exchange, routing_key;
    std::int64_t priority = 0;
    bool redelivered = false;
    std::optional<std::int64_t> worker_pid;
};
value to_value(const request_info& r);
result<request_info> read_request_info(const value& v);

struct scheduled_info {
    utc_time eta;
    std::int64_t priority = 6;
    request_info request;
};
value to_value(const scheduled_info& s);
result<scheduled_info> read_scheduled_info(const value& v);

// A queue as `active_queues` lists it, with every member that Flower's page needs.
struct queue_info {
    std::string name;
    std::string exchange, exchange_type = "direct";
    std::string routing_key;
    value queue_arguments, binding_arguments, consumer_arguments; // null or objects
    bool durable = true, exclusive = false, auto_delete = false, no_ack = false;
    value alias;
    std::optional<std::int64_t> priority_max;
};
value to_value(const queue_info& q);
result<queue_info> read_queue_info(const value& v);

// What `stats` answers, with every member that Flower's page needs.
struct worker_stats {
    object total; // name of a task: how many ran
    std::int64_t pid = 0;
    std::int64_t clock = 0; // written as text
    std::int64_t uptime_s = 0;
    std::string pool = "carillon:threads";
    std::int64_t concurrency = 0;
    std::vector<std::int64_t> processes;
    double soft_limit_s = 0, hard_limit_s = 0; // 0: none
    std::string broker_transport, broker_host, broker_user, broker_vhost;
    std::int64_t broker_port = 0;
    double broker_heartbeat_s = 0;
    std::int64_t prefetch_count = 0;
    object rusage;
};
value to_value(const worker_stats& s);
result<worker_stats> read_worker_stats(const value& v);

// The answer to `hello`: ids that were revoked, each with the seconds of this node's clock, and its Lamport clock.
struct revoked_id {
    std::string id;
    double seconds = 0;
};
value hello_reply(const std::vector<revoked_id>& revoked, std::int64_t clock);
// Of a request's argument `revoked` or a reply's member of that name; what is malformed is left out.
std::vector<revoked_id> read_revoked(const value& v);

// The ids of `revoke`: one text or a list of them.
std::vector<std::string> task_ids(const object& arguments);

} // namespace carillon::wire::celery
