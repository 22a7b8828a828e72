#include "wire/celery/legacy.hpp"

#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

result<void> take_arguments(object& body, message& m) {
    if (auto* args = body.find("args"); args && !args->is_null()) {
        auto* items = args->if_array();
        if (!items)
            return malformed("the arguments are no array");
        m.args = std::move(*items);
    }
    if (auto* kwargs = body.find("kwargs"); kwargs) {
        auto* members = kwargs->if_object();
        if (!members)
            return malformed("the named arguments are no object");
        m.kwargs = std::move(*members);
    }
    for (auto name : {"callbacks", "errbacks", "chain", "chord"})
        if (auto* part = body.find(name); part && !part->is_null())
            m.embed.set(name, std::move(*part));
    return {};
}

bool is_naive(const value& time) noexcept {
    const auto text = time.to_text();
    const auto clock = text.find_first_of("T ");
    return clock != std::string_view::npos &&
           text.find_first_of("Z+-", clock) == std::string_view::npos;
}

} // namespace

result<object> from_legacy_body(const object& headers, object body, message& m) {
    if (!body.find("args") && !body.find("kwargs"))
        return malformed("the body is neither an array of three nor a task of protocol 1");
    if (const auto* utc = body.find("utc"); utc && !utc->to_bool(true))
        for (auto name : {"eta", "expires"})
            if (const auto* time = body.find(name); time && is_naive(*time))
                return malformed("a time without a zone that is not meant in UTC");
    object merged;
    merged.reserve(headers.size() + 20);
    for (auto name :
         {"lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries",
          "timelimit", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin"})
        if (auto* there = body.find(name); there && !there->is_null())
            merged.append(name, *there);
    if (const auto* set = body.find("taskset"); set && !set->is_null() && !merged.find("group"))
        merged.append("group", *set);
    for (const auto& [name, content] : headers)
        merged.set(name, content);
    if (auto done = take_arguments(body, m); !done)
        return done.error();
    return merged;
}

} // namespace carillon::wire::celery
