// A Celery message as the properties of an AMQP content: header table, content type and the rest, as bytes and back.
//
// Written with the tags that py-amqp uses: text S, boolean t, integers I (32 bits) or l, doubles d, lists A, objects F,
// null V, bytes x. Read: every type that RabbitMQ lets pass; timestamps become integers, decimals doubles, text that is
// not UTF-8 bytes. Strangers write these tables: reading is bounded in depth and checks every length, which is why it
// is not left to rabbitmq-c's recursion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/celery/message.hpp"
#include <carillon/base/result.hpp>

namespace carillon::jobs::amqp {

inline constexpr int nesting_max = 64;
// RabbitMQ refuses a header frame above the negotiated size, 128 KiB.
inline constexpr std::size_t properties_bytes_max = 120'000;

// Flags and fields. `delivery_mode` stands in where the properties name none. errc::too_large where a text has more
// bytes than AMQP can hold (255 for properties and names of headers) or the whole is too large or nested too deep.
result<std::string> write_properties(const wire::celery::message_parts& parts, int delivery_mode);

// Headers and properties of `into`. False where they are malformed; then what was read before the flaw is there.
bool read_properties(std::string_view properties, wire::celery::message_parts& into);

// Takes off what a broker added when it moved a message between queues: with it, RabbitMQ would take a second journey
// through the same queues for a cycle, and drop the message.
void strip_death(object& headers);

} // namespace carillon::jobs::amqp
