#include "jobs/job_store.hpp"

#include <carillon/channels/channel_layer.hpp>
#include <carillon/channels/event.hpp>

namespace carillon::jobs {

namespace {

constexpr std::string_view group_header = "carillon_group";
constexpr std::string_view event_type_header = "carillon_event_type";
constexpr std::string_view default_event_type = "progress_update";

} // namespace

void claimed_job::read() {
    if (!unread)
        return;
    auto decoded = wire::celery::decode(unread->headers, unread->properties, unread->body);
    message =
        decoded
            ? result<shared_message>(std::make_shared<wire::celery::message>(*std::move(decoded)))
            : decoded.error();
    unread.reset();
}

void put_group(wire::celery::message& m, const group_headers& heard_by) {
    if (heard_by.group.empty())
        return;
    m.extra.append(std::string(group_header), heard_by.group);
    m.extra.append(std::string(event_type_header), heard_by.event_type);
}

group_headers group_of(const wire::celery::message& m) {
    const auto* group = m.extra.find(group_header);
    if (!group || !is_group_name(group->to_text()))
        return {};
    const auto* type = m.extra.find(event_type_header);
    group_headers found{std::string(group->to_text()),
                        std::string(type ? type->to_text() : default_event_type)};
    if (found.event_type.empty() || is_reserved_event_type(found.event_type))
        return {};
    return found;
}

} // namespace carillon::jobs
