#include "wire/celery/result.hpp"

#include <fmt/format.h>

#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

value list_of(const std::vector<result_tuple>& results) {
    array out;
    out.reserve(results.size());
    for (const auto& r : results)
        out.push_back(to_value(r));
    return out;
}

result<std::vector<result_tuple>> read_list(const value& v) {
    const auto* items = v.if_array();
    if (!items)
        return malformed("result record: the list of results is no array");
    std::vector<result_tuple> out;
    out.reserve(items->size());
    for (const auto& item : *items) {
        auto read = read_result_tuple(item);
        if (!read)
            return read.error();
        out.push_back(*std::move(read));
    }
    return out;
}

value time_or_null(const std::optional<utc_time>& when, bool naive) {
    if (!when)
        return {};
    auto text = to_isoformat(*when);
    if (naive)
        text.resize(text.size() - std::string_view("+00:00").size());
    return text;
}

bool is_own_member(std::string_view name) noexcept {
    for (std::string_view own : {"task_id", "status", "result", "traceback", "children",
                                 "date_done", "group_id", "parent_id"})
        if (name == own)
            return true;
    return false;
}

object members_of(const result_record& r, record_form form) {
    const bool reply = form == record_form::reply;
    object o;
    o.reserve(8 + r.extended.size());
    if (reply)
        o.append("task_id", r.task_id);
    o.append("status", r.status);
    o.append("result", r.outcome);
    o.append("traceback", text_or_null(r.traceback));
    o.append("children", r.children ? list_of(*r.children) : value());
    if (!reply) {
        o.append("date_done", time_or_null(r.date_done, form == record_form::stored_naive));
        if (!r.group_id.empty())
            o.append("group_id", r.group_id);
        if (!r.parent_id.empty())
            o.append("parent_id", r.parent_id);
    }
    for (const auto& [name, content] : r.extended)
        if (!is_own_member(name))
            o.append(name, content);
    if (!reply)
        o.append("task_id", r.task_id);
    return o;
}

result<void> read_members(const object& o, result_record& r) {
    r.task_id = text_of(o, "task_id");
    if (r.task_id.empty() || r.task_id.size() > id_chars_max)
        return malformed("result record: `task_id` is missing or no id");
    r.status = text_of(o, "status");
    if (r.status.empty() || r.status.size() > state_chars_max)
        return malformed("result record: `status` is missing or no state");
    const auto* outcome = o.find("result");
    if (!outcome)
        return malformed("result record: `result` is missing");
    r.outcome = *outcome;
    r.traceback = text_of(o, "traceback");
    r.children.reset();
    if (const auto& children = at(o, "children"); !children.is_null()) {
        auto read = read_list(children);
        if (!read)
            return read.error();
        r.children = *std::move(read);
    }
    if (const auto& done = at(o, "date_done"); !done.is_null()) {
        // Other serializers wrap it.
        r.date_done = done.is_string() ? from_iso8601(done.to_text()) : unwrap_datetime(done);
        if (!r.date_done)
            return malformed("result record: `date_done` is no ISO 8601 time");
    }
    r.group_id = text_of(o, "group_id");
    r.parent_id = text_of(o, "parent_id");
    for (const auto& [name, content] : o)
        if (!is_own_member(name))
            r.extended.append(name, content);
    return {};
}

} // namespace

bool is_final(std::string_view status) noexcept {
    return status == state::success || status == state::failure || status == state::revoked;
}

bool holds_exception(std::string_view status) noexcept {
    return status == state::failure || status == state::retry || status == state::revoked;
}

value to_value(const result_tuple& r) {
    array identity{r.id, r.parent.empty() ? value() : to_value(r.parent.front())};
    return array{std::move(identity), r.is_group ? list_of(r.members) : value()};
}

result<result_tuple> read_result_tuple(const value& v) {
    const auto* both = v.if_array();
    if (!both || both->size() != 2)
        return malformed("a result is no pair of an identity and its members");
    result_tuple r;
    const auto& identity = (*both)[0];
    if (const auto* pair = identity.if_array()) {
        if (pair->size() != 2)
            return malformed("the identity of a result is no pair of an id and a parent");
        r.id = (*pair)[0].to_text();
        if (!(*pair)[1].is_null()) {
            auto parent = read_result_tuple((*pair)[1]);
            if (!parent)
                return parent;
            r.parent.push_back(*std::move(parent));
        }
    } else {
        r.id = identity.to_text();
    }
    if (r.id.empty() || r.id.size() > id_chars_max)
        return malformed("a result has no id");
    if (!(*both)[1].is_null()) {
        auto members = read_list((*both)[1]);
        if (!members)
            return members.error();
        r.is_group = true;
        r.members = *std::move(members);
    }
    return r;
}

result<std::string> encode_result(const result_record& r, record_form form) {
    if (r.task_id.empty() || r.task_id.size() > id_chars_max)
        return failure{errc::invalid, "a result record needs the id of a task"};
    if (r.status.empty() || r.status.size() > state_chars_max)
        return failure{errc::invalid,
                       fmt::format("a state has 1 to {} characters", state_chars_max)};
    return write_json(members_of(r, form));
}

result<result_record> decode_result(std::string_view text) {
    auto parsed = parse_object(text, "result record");
    if (!parsed)
        return parsed.error();
    result_record r;
    if (auto done = read_members(*parsed, r); !done)
        return done.error();
    return r;
}

result<message_parts> rpc_reply(const result_record& r, std::string_view correlation_id,
                                bool persistent) {
    auto body = encode_result(r, record_form::reply);
    if (!body)
        return body.error();
    auto parts = json_parts({}, persistent ? 2 : 1, value());
    parts.properties.append("correlation_id", correlation_id.empty() ? r.task_id : correlation_id);
    parts.body = *std::move(body);
    return parts;
}

bool may_replace(std::string_view stored) {
    const auto parsed = read_json(stored);
    return !parsed || (*parsed)["status"].to_text() != state::success;
}

void extend(result_record& r, const message& m, std::string_view worker, std::string_view queue) {
    r.extended.set("name", m.task);
    r.extended.set("args", m.args);
    r.extended.set("kwargs", m.kwargs);
    r.extended.set("worker", worker);
    r.extended.set("retries", m.retries);
    r.extended.set("queue", queue);
    for (const auto& [name, content] : m.stamps)
        if (!is_own_member(name))
            r.extended.set(name, content);
}

std::string encode_group(const result_tuple& group) {
    object o;
    o.append("result", to_value(group));
    return write_json(std::move(o));
}

result<result_tuple> decode_group(std::string_view text) {
    auto parsed = parse_object(text, "saved group");
    if (!parsed)
        return parsed.error();
    auto group = read_result_tuple(at(*parsed, "result"));
    if (group && !group->is_group)
        return malformed("saved group: the result is that of one task");
    return group;
}

result_names::result_names(std::string_view keyprefix) : prefix_(keyprefix) {
    if (!prefix_.empty() && std::string_view(":_-.").find(prefix_.back()) == std::string_view::npos)
        prefix_ += '_';
}

std::string result_names::task(std::string_view id) const {
    return fmt::format("{}celery-task-meta-{}", prefix_, id);
}
std::string result_names::group(std::string_view group_id) const {
    return fmt::format("{}celery-taskset-meta-{}", prefix_, group_id);
}
std::string result_names::chord_results(std::string_view group_id) const {
    return group(group_id) + ".j";
}
std::string result_names::chord_extra(std::string_view group_id) const {
    return group(group_id) + ".t";
}
std::string result_names::own(std::string_view name) const {
    return fmt::format("{}carillon:{}", prefix_, name);
}
std::string result_names::chord_size(std::string_view group_id) const {
    return group(group_id) + ".s";
}

} // namespace carillon::wire::celery
