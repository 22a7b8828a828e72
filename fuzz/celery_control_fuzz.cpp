// Any text as a request of remote control, a reply and its shapes, as events and as a crontab: what is read can be
// written and reads to the same; what a schedule names is after the given time.
#include <string>

#include "input.hpp"
#include "wire/celery/control.hpp"
#include "wire/celery/events.hpp"
#include "wire/celery/json.hpp"
#include "wire/celery/schedule.hpp"

namespace {

using namespace carillon;
using namespace carillon::wire::celery;

void check_request(const message_parts& parts) {
    const auto r = decode_request(parts);
    if (!r)
        return;
    const auto again = decode_request(encode_request(*r));
    fuzz::must(again.has_value() && again->method == r->method &&
                   again->destination == r->destination && again->pattern == r->pattern &&
                   again->wants_reply() == r->wants_reply(),
               "a request reads to the same");
    static_cast<void>(is_for(*r, "celery@host"));
    static_cast<void>(task_ids(r->arguments));
    if (const auto* revoked = r->arguments.find("revoked")) {
        const auto ids = read_revoked(*revoked);
        fuzz::must(read_revoked(hello_reply(ids, 1)["revoked"]).size() == ids.size(),
                   "revoked ids read to the same");
    }
}

template <class Read>
void check_shape(const value& v, Read read) {
    if (const auto shape = read(v)) {
        const auto written = to_value(*shape);
        const auto again = read(written);
        fuzz::must(again.has_value() && write_json(to_value(*again)) == write_json(written),
                   "a shape reads to the same");
    }
}

void check_reply(const message_parts& parts) {
    const auto r = decode_reply(parts);
    if (!r)
        return;
    const auto again = decode_reply(encode_reply(*r));
    fuzz::must(again.has_value() && again->node == r->node &&
                   write_json(again->content) == write_json(r->content),
               "a reply reads to the same");
    check_shape(r->content, read_request_info);
    check_shape(r->content, read_scheduled_info);
    check_shape(r->content, read_queue_info);
    check_shape(r->content, read_worker_stats);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    message_parts parts;
    parts.properties.append("content_type", "application/json");
    parts.body = input;
    check_request(parts);
    check_reply(parts);
    if (const auto events = decode_events(parts); events && !events->empty()) {
        const auto again = decode_events(encode_events(*events));
        fuzz::must(again.has_value() && again->size() == events->size(), "events read to the same");
    }
    if (const auto schedule = crontab::parse(input)) {
        static const auto oslo = carillon::wire::time_zone::named("Europe/Oslo").value();
        const auto after =
            utc_time(std::chrono::seconds(1'790'000'000 + 977 * static_cast<int>(size)));
        const auto due = schedule->next(after, oslo);
        fuzz::must(!due || *due > after, "a schedule is due later");
    }
    const auto line = input.find('\n');
    if (line != input.npos && size < 2'000)
        static_cast<void>(glob_matches(input.substr(0, line), input.substr(line + 1)));
    return 0;
}
