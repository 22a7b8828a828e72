#include "jobs/job_store.hpp"

#include <carillon/channels/channel_layer.hpp>
#include <carillon/channels/event.hpp>

namespace carillon::jobs {

namespace {

constexpr std::string_view group_header = "carillon_group";
constexpr std::string_view event_type_header = "carillon_event_type";
constexpr std::string_view limit_key_header = "carillon_concurrency_key";
constexpr std::string_view limit_max_header = "carillon_concurrency_max";
constexpr std::size_t limit_key_chars_max = 255;
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

void put_limit(wire::celery::message& m, const concurrency_limit& own) {
    if (!own.key.empty())
        m.extra.append(std::string(limit_key_header), own.key);
    if (own.max > 0)
        m.extra.append(std::string(limit_max_header), own.max);
}

concurrency_limit limit_of(const wire::celery::message& m, const job_registry& registry) {
    concurrency_limit limit;
    if (const auto* entry = registry.find(m.task))
        limit.max = entry->options.concurrency_max;
    if (!m.extra.empty()) {
        const auto* max = m.extra.find(limit_max_header);
        if (max && max->to_int() >= 1 && max->to_int() <= concurrency_limit_max)
            limit.max = max->to_int();
        const auto* key = m.extra.find(limit_key_header);
        if (key && key->is_string() && key->to_text().size() <= limit_key_chars_max)
            limit.key = key->to_text();
    }
    if (limit.max > 0 && limit.key.empty())
        limit.key = m.task;
    return limit;
}

} // namespace carillon::jobs
