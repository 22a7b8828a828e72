// Celery's events: what workers tell monitors such as `celery events` and Flower. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/message.hpp"

namespace carillon::wire::celery {

inline constexpr std::string_view event_exchange = "celeryev";
// Events of one message; of more, none is read. Celery's own workers send up to 24.
inline constexpr std::size_t events_max = 10'000;

struct event {
    std::string type;     // "task-received", "worker-heartbeat", …
    std::string hostname; // the node
    std::int64_t pid = 0;
    double timestamp = 0;       // seconds since 1970
    std::int64_t utcoffset = 0; // whole hours west of UTC
    std::int64_t clock = 0;     // Lamport's, one more for every event of a node
    object fields;              // those of the type
};

// Members in the order in which Celery writes them.
value to_value(const event& e);
// errc::bad_request where it is no object with a type, or a common member has another kind.
result<event> read_event(const value& v);

// The routing key of one event, `task.received`, and that of a list, `task.multi`.
std::string event_routing_key(std::string_view type);
inline constexpr std::string_view event_list_routing_key = "task.multi";

// The message with one event as an object, or with several as a list. `events` is not empty; all are of one node.
message_parts encode_event(const event& e);
message_parts encode_events(const std::vector<event>& events);
// An object or a list. errc::bad_request where a part is malformed, errc::too_large above events_max,
// errc::unsupported_media for a content type other than JSON.
result<std::vector<event>> decode_events(const message_parts& parts);

// The fields of each type.
struct worker_state {
    double heartbeat_s = 2; // between two heartbeats
    std::int64_t active = 0, processed = 0;
    std::array<double, 3> load{};
    std::string software = "carillon", version, system = "Linux";
};
object fields_of(const worker_state& s); // worker-online, worker-heartbeat, worker-offline
object received_fields(const message& m);
object sent_fields(const message& m, std::string_view queue, std::string_view exchange,
                   std::string_view routing_key);
object started_fields(std::string_view id);
object succeeded_fields(std::string_view id, const value& result, double runtime_s);
object failed_fields(std::string_view id, std::string_view exception, std::string_view traceback);
object retried_fields(std::string_view id, std::string_view exception, std::string_view traceback);
object revoked_fields(std::string_view id, bool terminated, std::optional<int> signal,
                      bool expired);
object rejected_fields(std::string_view id, bool requeue);

} // namespace carillon::wire::celery
