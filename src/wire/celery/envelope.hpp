// What Celery's Redis transport stores: the list element around a message, the entry that remembers a delivery, and the
// names of its keys. Pure functions of text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/message.hpp"

namespace carillon::wire::celery {

// One list element, and the payload of a fanout message.
struct envelope {
    // The properties are named as in message.hpp: `content-type` and `content-encoding` of the element are
    // `content_type` and `content_encoding` here; properties of others are kept.
    message_parts parts;
    std::string exchange;    // empty: the default exchange
    std::string routing_key; // the queue, where the exchange is the default one
    std::string delivery_tag;
    bool redelivered = false;
    object delivery_extra; // further members of delivery_info, kept as they came
};

// The body is written as base64. errc::invalid where the delivery tag is empty, which stops Celery's worker.
result<std::string> encode_envelope(envelope e);

// errc::bad_request, with what is wrong: no JSON object; no `body` text; `properties`, its `delivery_info` or one of
// exchange, routing_key and delivery_tag missing; broken base64. errc::unsupported_media for a body_encoding other than
// base64, utf-8 and none. A number as delivery tag is read as its text. Headers that are missing are read as none.
// Where even the delivery tag is unreadable, nothing can be acknowledged: the element is lost for Celery, too.
result<envelope> decode_envelope(std::string_view element);

// The entry of the hash `unacked`: a delivery that nobody acknowledged yet.
struct unacked_entry {
    envelope delivered;
    std::string exchange;
    std::string routing_key;
};
// `element` is the list element as it was taken, which must be JSON; it is not read.
std::string encode_unacked(std::string_view element, std::string_view exchange,
                           std::string_view routing_key);
// errc::bad_request where it is no array of three or its envelope cannot be read.
result<unacked_entry> decode_unacked(std::string_view text);

// The list element that puts a delivery back: both of its flags `redelivered` are true. errc::invalid as above.
result<std::string> restored_element(envelope e);

// Names of the keys, lists and channels. Immutable after construction; any number of threads may use one.
class redis_names {
public:
    struct options {
        std::string keyprefix;                       // put before every name, as it is
        std::string separator = "\x06\x16";          // between a queue and its step
        std::vector<std::int64_t> steps{0, 3, 6, 9}; // ascending; empty is read as {0}
        std::int64_t database = 0;                   // part of the fanout channels
    };
    redis_names() : redis_names(options()) {}
    explicit redis_names(options o);

    // The step of a priority: the largest that is not above it. Priorities are clamped to 0..9; one below the first
    // step belongs to the last, as in kombu. A smaller number is served first.
    std::int64_t step_of(std::int64_t priority) const noexcept;
    // The list of a queue for messages of that priority.
    std::string queue(std::string_view queue, std::int64_t priority = 0) const;
    // Every list of the queues in the order in which they are served: step by step, inside a step queue by queue.
    std::vector<std::string> queues(std::span<const std::string_view> queues) const;

    std::string binding(std::string_view exchange) const; // a set
    // Members of that set have no prefix.
    struct bound_queue {
        std::string routing_key, pattern, queue;
    };
    std::string binding_member(const bound_queue& b) const;
    // errc::bad_request where it has no three parts.
    result<bound_queue> read_binding_member(std::string_view member) const;

    std::string unacked() const;
    std::string unacked_index() const;
    std::string unacked_mutex() const;

    // The channel of a fanout exchange. A routing key with `#` gives the pattern that PSUBSCRIBE takes.
    std::string fanout(std::string_view exchange, std::string_view routing_key = {}) const;

private:
    std::string list_of(std::string_view queue, std::int64_t step) const;
    options options_;
};

} // namespace carillon::wire::celery
