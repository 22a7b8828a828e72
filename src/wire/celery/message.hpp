// Celery's task message, protocol 2, as a pure function of bytes: headers, properties and body to a struct and back.
//
// The three texts are what any broker carries: AMQP as header table, properties and body, Redis inside its envelope.
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

struct encoded_message {
    std::string headers; // a JSON object
    std::string
        // a JSON object: content_type, content_encoding, correlation_id, reply_to, delivery_mode, priority
        properties;
    std::string body; // `[args, kwargs, embed]`
};

// Writes every header that Celery 5.6 writes. errc::invalid where `task` or `id` is empty or too long.
result<encoded_message> encode(const message& m);

// errc::bad_request where a part is malformed or lacks `task` or `id`, errc::unsupported_media for a content type other
// than JSON, a compressed body or protocol 1 (a message without the `task` header).
result<message> decode(std::string_view headers, std::string_view properties,
                       std::string_view body);

// Python's repr() of a list of arguments as a tuple, `(2, 'x')`, and of named ones, `{'x': 2}`, cut to repr_chars_max
// characters with a trailing `...`. For people; nothing reads it back.
std::string repr_args(const array& args);
std::string repr_kwargs(const object& kwargs);

} // namespace carillon::wire::celery
