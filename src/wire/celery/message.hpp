// Celery's task message as a pure function of bytes: headers, properties and body to a struct and back. Written as
// protocol 2; read as protocol 2, protocol 1 and the hybrid of both.
//
// The three parts are what any broker carries: AMQP as header table, properties and body, Redis inside its envelope.
// Whatever arrives is an ordinary outcome: decode() refuses what Celery's own worker would stumble over.
// docs/protocols/celery-message.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon::wire::celery {

inline constexpr std::size_t id_chars_max = 255;
inline constexpr std::size_t task_chars_max = 255;
inline constexpr std::size_t repr_chars_max = 1024;
// A compressed body may inflate to this much; what would be larger is refused.
inline constexpr std::size_t inflated_bytes_max = 64u << 20;
// The one method of compression that is read and written: a zlib stream (RFC 1950) in spite of its name.
inline constexpr std::string_view zlib_compression = "application/x-gzip";

struct message {
    // Headers. Empty texts stand for null, except `task` and `id`, which every message has.
    std::string lang = "cpp";
    std::string task;
    std::string id;
    std::string shadow;
    std::optional<utc_time> eta;
    std::optional<utc_time> expires;
    std::string group;
    std::optional<std::int64_t> group_index;
    std::int64_t retries = 0;
    std::optional<double> hard_limit_s, soft_limit_s;
    std::string root_id; // written as `id` when empty
    std::string parent_id;
    std::string argsrepr, kwargsrepr; // written from the arguments when empty
    std::string origin;
    std::optional<bool> ignore_result; // absent: left to the worker's own setting
    std::int64_t replaced_task_nesting = 0;
    value stamped_headers;
    object stamps;
    // The method by which the body is compressed on the wire: empty or zlib_compression.
    std::string compression;
    // Redis put the message back after it had been delivered once. Read, never written by encode().
    bool redelivered = false;
    object extra; // headers of the user's own, kept as they came

    // Properties.
    std::string content_type = "application/json";
    std::string content_encoding = "utf-8";
    std::string correlation_id; // written as `id` when empty
    std::string reply_to;
    std::int64_t delivery_mode = 2;
    std::int64_t priority = 0;
    std::string expiration; // milliseconds in decimal; empty: none

    // Body.
    array args;
    object kwargs;
    object embed; // callbacks, errbacks, chain, chord
};

// A message between struct and bytes, as a broker handles it.
struct message_parts {
    object headers;
    // content_type, content_encoding, correlation_id, reply_to, delivery_mode, priority, expiration
    object properties;
    std::string body; // compressed where the headers say so; else UTF-8
};

struct encoded_message {
    std::string headers;    // a JSON object
    std::string properties; // a JSON object
    std::string body;       // `[args, kwargs, embed]`
};

// Writes every header that Celery 5.6 writes. errc::invalid where `task` or `id` is empty or too long, or the
// compression has a name other than zlib_compression.
result<message_parts> encode_parts(const message& m);
result<encoded_message> encode(const message& m);

// errc::bad_request where a part is malformed or lacks `task` or `id`; errc::unsupported_media for a content type other
// than JSON or none at all, an encoding other than UTF-8 and a compression other than zlib_compression; errc::too_large
// where the body inflates to more than inflated_bytes_max or is nested too deep. The message names what is wrong.
// A message without the header `task` is read as protocol 1, one whose body is an object as the hybrid: what the
// headers hold wins over the body. Values follow read_json() of wire/celery/json.hpp.
result<message> decode(const object& headers, const object& properties, std::string_view body);
result<message> decode(std::string_view headers, std::string_view properties,
                       std::string_view body);

// Who would wait for the answer to a message that decode() refuses, so that the refusal can be told and recorded. Each
// text is empty where it cannot be had; those of the body of protocol 1 are looked for, too.
struct message_identity {
    std::string task;
    std::string id;
    std::string correlation_id;
    std::string reply_to;
};
message_identity identify(const message_parts& parts);

// The message that runs the same job again at `eta`, as Celery's retry sends it: one more retry, its own id as parent,
// no headers that a broker added.
message next_try(message m, utc_time eta);

// Python's repr() of a list of arguments as a tuple, `(2, 'x')`, and of named ones, `{'x': 2}`, cut to repr_chars_max
// characters with a trailing `...`. For people; nothing reads it back.
std::string repr_args(const array& args);
std::string repr_kwargs(const object& kwargs);
// The same of any value: `5`, `'text'`, `[1, None]`.
std::string repr(const value& v);

} // namespace carillon::wire::celery
