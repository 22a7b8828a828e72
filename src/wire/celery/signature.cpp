#include "wire/celery/signature.hpp"

#include <cmath>

#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

bool is_own_member(std::string_view name) noexcept {
    for (std::string_view own : {"task", "args", "kwargs", "options", "subtask_type", "immutable"})
        if (name == own)
            return true;
    return false;
}

// An array or an object, or null as an empty one.
template <class Kind>
bool take(const Kind* there, const value& v, Kind& into) {
    if (there)
        into = *there;
    return there || v.is_null();
}

} // namespace

value to_value(const signature& s) {
    object o;
    o.reserve(6 + s.extra.size());
    o.append("task", s.task);
    o.append("args", s.args);
    o.append("kwargs", s.kwargs);
    o.append("options", s.options);
    o.append("subtask_type", text_or_null(s.subtask_type));
    o.append("immutable", s.immutable);
    for (const auto& [name, content] : s.extra)
        if (!is_own_member(name))
            o.append(name, content);
    return o;
}

result<signature> read_signature(const value& v) {
    const auto* o = v.if_object();
    if (!o)
        return malformed("a signature is no object");
    signature s;
    s.task = text_of(*o, "task");
    if (s.task.empty() || s.task.size() > task_chars_max)
        return malformed("a signature has no name of a task");
    const auto &args = at(*o, "args"), &kwargs = at(*o, "kwargs"), &options = at(*o, "options");
    if (!take(args.if_array(), args, s.args))
        return malformed("the arguments of a signature are no array");
    if (!take(kwargs.if_object(), kwargs, s.kwargs))
        return malformed("the named arguments of a signature are no object");
    if (!take(options.if_object(), options, s.options))
        return malformed("the options of a signature are no object");
    s.subtask_type = text_of(*o, "subtask_type");
    s.immutable = at(*o, "immutable").to_bool();
    for (const auto& [name, content] : *o)
        if (!is_own_member(name))
            s.extra.append(name, content);
    return s;
}

result<std::vector<signature>> read_signatures(const value& v) {
    std::vector<signature> all;
    if (v.is_null())
        return all;
    const auto* items = v.if_array();
    const std::size_t count = items ? items->size() : 1;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto one = read_signature(items ? (*items)[i] : v);
        if (!one)
            return one.error();
        all.push_back(*std::move(one));
    }
    return all;
}

std::vector<abandoned_step> abandoned_steps(const message& failed) {
    std::vector<abandoned_step> all;
    const auto* steps = at(failed.embed, "chain").if_array();
    if (!steps)
        return all;
    for (const auto& step : *steps) {
        const auto s = read_signature(step);
        if (!s)
            continue;
        abandoned_step a;
        a.id = text_of(s->options, "task_id");
        a.group_id = text_of(s->options, "group_id");
        if (const auto* index = at(s->options, "group_index").if_int64())
            a.group_index = *index;
        if (auto chord = read_signature(at(s->options, "chord")))
            a.chord = *std::move(chord);
        if (!a.id.empty())
            all.push_back(std::move(a));
    }
    return all;
}

namespace {

chord_part part(std::string_view group_id, std::optional<std::int64_t> index, std::string_view id,
                std::string_view status, const value& outcome) {
    chord_part p;
    p.group_id = group_id;
    p.score = index ? static_cast<double>(*index) : INFINITY;
    p.member = write_json(array{1, id, status, outcome});
    return p;
}

} // namespace

std::optional<chord_part> end_of_member(const message& m, std::string_view status,
                                        const value& outcome) {
    if (m.group.empty() || at(m.embed, "chord").is_null())
        return {};
    return part(m.group, m.group_index, m.id, status, outcome);
}

std::optional<chord_part> end_of_member(const abandoned_step& step, std::string_view status,
                                        const value& outcome) {
    if (step.group_id.empty() || !step.chord)
        return {};
    return part(step.group_id, step.group_index, step.id, status, outcome);
}

bool is_complete(std::int64_t counted, std::int64_t size, std::int64_t extra) noexcept {
    std::int64_t all = 0;
    return size > 0 && !__builtin_add_overflow(size, extra, &all) && counted == all;
}

} // namespace carillon::wire::celery
