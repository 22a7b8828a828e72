#include "app/schedule_settings.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "jobs/beat/beat.hpp"

namespace carillon::app {

namespace {

constexpr double seconds_max = 10.0 * 366 * 86'400;
constexpr std::string_view keys = "task, every, cron, zone, args, kwargs, queue, priority, "
                                  "expires-after, ignore-result";

failure wrong(std::string message) { return {errc::invalid, std::move(message)}; }

result<value> value_of(const toml::node& node);

result<array> array_of(const toml::array& nodes) {
    array made;
    for (const auto& one : nodes) {
        auto item = value_of(one);
        if (!item)
            return item.error();
        made.push_back(*std::move(item));
    }
    return made;
}

result<object> object_of(const toml::table& table) {
    object made;
    for (const auto& [name, one] : table) {
        auto member = value_of(one);
        if (!member)
            return member.error();
        made.set(name.str(), *std::move(member));
    }
    return made;
}

result<value> value_of(const toml::node& node) {
    if (const auto* text = node.as_string())
        return value(text->get());
    if (const auto* whole = node.as_integer())
        return value(whole->get());
    if (const auto* number = node.as_floating_point(); number && std::isfinite(number->get()))
        return value(number->get());
    if (const auto* truth = node.as_boolean())
        return value(truth->get());
    if (const auto* items = node.as_array()) {
        auto made = array_of(*items);
        return made ? result<value>(*std::move(made)) : made.error();
    }
    if (const auto* members = node.as_table()) {
        auto made = object_of(*members);
        return made ? result<value>(*std::move(made)) : made.error();
    }
    return wrong(
        "an argument is a text, a finite number, true, false, an array or a table; write a date "
        "as text");
}

result<std::string> text_of(const toml::node& node) {
    const auto* text = node.as_string();
    return text ? result<std::string>(text->get()) : wrong("must be a text");
}

result<std::chrono::milliseconds> duration_of(const toml::node& node) {
    const auto seconds = node.value<double>();
    if (!seconds || !(*seconds >= 0 && *seconds <= seconds_max))
        return wrong("must be a number of seconds, ten years at most");
    return std::chrono::milliseconds(std::llround(*seconds * 1'000));
}

// What one table says, before it is known whether it is whole.
struct draft {
    std::string task, cron, zone = "UTC";
    std::optional<std::chrono::milliseconds> every;
    std::chrono::milliseconds expires_after{0};
    job_arguments arguments;
    enqueue_options options;
    bool has_zone = false;
};

template <class From, class To>
result<void> put(result<From> read, To& into) {
    if (!read)
        return read.error();
    into = *std::move(read);
    return {};
}

result<void> put_arguments(draft& d, std::string_view key, const toml::node& node) {
    if (key == "args")
        return node.is_array() ? put(array_of(*node.as_array()), d.arguments.args)
                               : wrong("must be an array");
    return node.is_table() ? put(object_of(*node.as_table()), d.arguments.kwargs)
                           : wrong("must be a table");
}

result<void> put_option(draft& d, std::string_view key, const toml::node& node) {
    if (key == "priority") {
        const auto* number = node.as_integer();
        if (!number || number->get() < 0 || number->get() > 9)
            return wrong("must be a whole number from 0 to 9");
        d.options.priority = static_cast<std::int32_t>(number->get());
        return {};
    }
    const auto* truth = node.as_boolean();
    if (!truth)
        return wrong("must be true or false");
    d.options.ignore_result = truth->get();
    return {};
}

result<void> put_key(draft& d, std::string_view key, const toml::node& node) {
    if (key == "task")
        return put(text_of(node), d.task);
    if (key == "every")
        return put(duration_of(node), d.every);
    if (key == "cron")
        return put(text_of(node), d.cron);
    if (key == "zone") {
        d.has_zone = true;
        return put(text_of(node), d.zone);
    }
    if (key == "queue")
        return put(text_of(node), d.options.queue);
    if (key == "expires-after")
        return put(duration_of(node), d.expires_after);
    if (key == "args" || key == "kwargs")
        return put_arguments(d, key, node);
    if (key == "priority" || key == "ignore-result")
        return put_option(d, key, node);
    return wrong(fmt::format("unknown; a schedule has {}", keys));
}

result<schedule_entry> entry_of(std::string_view name, draft d) {
    if (d.every.has_value() == !d.cron.empty())
        return wrong("give either every (seconds) or cron");
    if (d.every && d.has_zone)
        return wrong("zone belongs to cron: an interval knows no clock on the wall");
    auto when = d.every ? job_schedule::every(*d.every) : job_schedule::cron(d.cron, d.zone);
    if (!when)
        return when.error();
    schedule_entry made{std::string(name),      std::move(d.task),    *std::move(when),
                        std::move(d.arguments), std::move(d.options), d.expires_after};
    if (auto good = jobs::check_entry(made); !good)
        return good.error();
    return made;
}

result<schedule_entry> read_one(std::string_view name, const toml::node& node,
                                const std::string& path) {
    const auto at = [&](const toml::node& where, std::string_view key, std::string_view message) {
        return wrong(fmt::format("{}:{}: schedule.{}{}{}: {}", path, where.source().begin.line,
                                 name, key.empty() ? "" : ".", key, message));
    };
    const auto* table = node.as_table();
    if (!table)
        return at(node, "", "must be a table, [schedule.NAME]");
    draft d;
    for (const auto& [key, member] : *table) {
        std::string with_dashes(key.str());
        std::ranges::replace(with_dashes, '_', '-');
        if (auto done = put_key(d, with_dashes, member); !done)
            return at(member, key.str(), done.error().message);
    }
    auto made = entry_of(name, std::move(d));
    return made ? made : at(node, "", made.error().message);
}

} // namespace

result<std::vector<schedule_entry>> read_schedules(const toml::node& node,
                                                   const std::string& path) {
    const auto* table = node.as_table();
    if (!table)
        return wrong(fmt::format("{}:{}: schedule: must be tables, [schedule.NAME]", path,
                                 node.source().begin.line));
    std::vector<schedule_entry> entries;
    for (const auto& [name, one] : *table) {
        auto made = read_one(name.str(), one, path);
        if (!made)
            return made.error();
        entries.push_back(*std::move(made));
    }
    return entries;
}

} // namespace carillon::app
