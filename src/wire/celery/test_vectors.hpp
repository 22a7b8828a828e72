// The messages of tests/data/celery_vectors.json, which real Celery processes published, for the tests of this folder.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <carillon/base/value.hpp>

namespace carillon::wire::celery::test {

// The whole file, read once.
const value& vectors();

// Every message of that kind (task, rpc_result, event, control_request, control_reply) on AMQP, of both versions; gives
// how many there were. The version is "celery_5_2_6" or "celery_5_6_3".
using message_visitor =
    std::function<void(std::string_view version, std::string_view scenario, const value& message)>;
int for_each_message(std::string_view kind, const message_visitor& visit);

// Every Redis command of that name, of both versions, as the list of its texts.
using command_visitor =
    std::function<void(std::string_view version, std::string_view scenario, const array& command)>;
int for_each_command(std::string_view name, const command_visitor& visit);

// The messages of one kind in one scenario, in order.
array messages(std::string_view version, std::string_view scenario, std::string_view kind);
// The properties of a message without the headers, which stand among them.
object properties_of(const value& message);
object headers_of(const value& message);

} // namespace carillon::wire::celery::test
