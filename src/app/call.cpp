#include "app/call.hpp"

#include <charconv>
#include <cstdio>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/runtime.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::app {

namespace {

failure invalid(std::string message) { return {errc::invalid, std::move(message)}; }

// A JSON array is positional arguments, an object named ones.
result<job_arguments> arguments_of(const std::string& json) {
    auto parsed = parse_json(json.empty() ? "[]" : json);
    if (!parsed)
        return parsed.error();
    if (auto* named = parsed->if_object())
        return job_arguments(std::move(*named));
    if (auto* positional = parsed->if_array())
        return job_arguments(std::move(*positional));
    return invalid("the arguments must be a JSON array (positional) or object (named)");
}

// Nothing where the text is not a number of seconds in range.
std::optional<std::chrono::milliseconds> seconds_in(std::string_view text) {
    double seconds = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (problem != std::errc{} || end != text.data() + text.size() ||
        !(seconds >= 0 && seconds <= call_seconds_max))
        return std::nullopt;
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

result<void> set_start(enqueue_options& asked, const call_arguments& given) {
    if (!given.countdown.empty() && !given.eta.empty())
        return invalid("--countdown and --eta both say when the job starts: give one of them");
    if (!given.countdown.empty()) {
        const auto wait = seconds_in(given.countdown);
        if (!wait)
            return invalid(fmt::format(
                "--countdown {}: not a number of seconds from 0 to ten years", given.countdown));
        asked.countdown = *wait;
    }
    if (!given.eta.empty()) {
        asked.eta = from_iso8601(given.eta);
        if (!asked.eta)
            return invalid(
                fmt::format("--eta {}: not a moment such as 2026-12-31T23:59:00+01:00", given.eta));
    }
    return {};
}

result<void> set_expiry(enqueue_options& asked, const call_arguments& given, utc_time now) {
    if (given.expires.empty())
        return {};
    if (const auto wait = seconds_in(given.expires))
        asked.expires = now + *wait;
    else
        asked.expires = from_iso8601(given.expires);
    if (!asked.expires)
        return invalid(fmt::format("--expires {}: neither a number of seconds from 0 to ten years "
                                   "nor a moment such as 2026-12-31T23:59:00+01:00",
                                   given.expires));
    return {};
}

int print_result(const job_record& done) {
    if (done.state != job_state::completed)
        return fail({errc::internal, fmt::format("job {} {}{}{}", done.id, name_of(done.state),
                                                 done.error.empty() ? "" : ": ", done.error)});
    fmt::print("{}\n", to_json(done.result));
    return 0;
}

} // namespace

result<enqueue_options> enqueue_options_of(const call_arguments& given, utc_time now) {
    if (given.wait && given.ignore_result)
        return invalid("--wait needs the result that --ignore-result says nobody stores: leave one "
                       "of them out");
    enqueue_options asked;
    asked.queue = given.queue;
    asked.priority = given.priority;
    asked.ignore_result = given.ignore_result;
    if (auto start = set_start(asked, given); !start)
        return start.error();
    if (auto expiry = set_expiry(asked, given, now); !expiry)
        return expiry.error();
    return asked;
}

int call(application& site, const settings& config, const call_arguments& given) {
    auto arguments = arguments_of(given.json);
    if (!arguments)
        return fail(arguments.error());
    auto asked = enqueue_options_of(given, utc_now());
    if (!asked)
        return fail(asked.error());
    auto log = log_for(config);
    metrics counters;
    auto started = runtime::start(site, config, *log, counters, nullptr);
    if (!started)
        return fail(started.error());
    auto& jobs = (*started)->jobs();
    auto id = jobs.enqueue(given.task, *std::move(arguments), *std::move(asked));
    if (!id)
        return fail(id.error());
    if (!given.wait) {
        fmt::print("{}\n", *id);
        return 0;
    }
    const auto done = jobs.wait(*id, steady_time::max());
    return done ? print_result(*done) : fail(done.error());
}

} // namespace carillon::app
