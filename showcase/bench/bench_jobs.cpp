#include "bench/bench_jobs.hpp"

#include <cmath>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include <carillon/base/clock.hpp>

namespace cr = carillon;

namespace showcase::bench {

namespace {

constexpr double seconds_max = 86'400;
constexpr std::int64_t retries_max = 100;
constexpr std::int64_t steps_max = 1'000;
constexpr std::chrono::milliseconds pause{100};

double number(const cr::job_arguments& given, std::size_t position, std::string_view name,
              double high) {
    const auto& found = given.get(position, name);
    const double read = found.to_double();
    if (!found.is_number() || !(std::abs(read) <= high))
        throw cr::error(cr::errc::invalid, fmt::format("{} must be a number up to {}", name, high));
    return read;
}

// Not of those beyond 63 bits.
bool is_whole(const cr::value& v) { return v.is_integer() && v == cr::value(v.to_int()); }

std::int64_t count(const cr::job_arguments& given, std::string_view name, std::int64_t high) {
    const auto& found = given.get(0, name);
    if (!is_whole(found) || found.to_int() < 0 || found.to_int() > high)
        throw cr::error(cr::errc::invalid,
                        fmt::format("{} must be a whole number from 0 to {}", name, high));
    return found.to_int();
}

cr::value noop(cr::job_context&, const cr::job_arguments&) { return nullptr; }

cr::value add(cr::job_context&, const cr::job_arguments& given) {
    const auto &x = given.get(0, "x"), &y = given.get(1, "y");
    std::int64_t sum = 0;
    if (is_whole(x) && is_whole(y) && !__builtin_add_overflow(x.to_int(), y.to_int(), &sum))
        return sum;
    constexpr double any = 1e300;
    return number(given, 0, "x", any) + number(given, 1, "y", any);
}

cr::value linger(cr::job_context& context, const cr::job_arguments& given) {
    const double seconds = number(given, 0, "seconds", seconds_max);
    const std::chrono::duration<double> wanted(seconds);
    if (seconds > 0 && !context.wait_for(std::chrono::ceil<std::chrono::milliseconds>(wanted)))
        context.throw_if_cancelled();
    return seconds;
}

// One write for each line: none is cut, and none is lost with its process.
void add_line(const std::filesystem::path& path, std::string_view what, const std::string& id) {
    const auto at = std::chrono::nanoseconds(cr::now().time_since_epoch()).count();
    const auto line = fmt::format("{} {} {} {}\n", what, at, ::getpid(), id);
    const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const bool written =
        file >= 0 && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    if (file >= 0)
        ::close(file);
    if (!written)
        throw cr::error(cr::errc::unavailable, path.string() + " cannot be written");
}

cr::job_handler trace_into(std::filesystem::path path) {
    return [path = std::move(path)](cr::job_context& context, const cr::job_arguments& given) {
        add_line(path, "begin", context.id());
        auto slept = linger(context, given);
        add_line(path, "end", context.id());
        return slept;
    };
}

cr::value fail(cr::job_context&, const cr::job_arguments& given) {
    const bool passing = given.get(1, "passing") == cr::value(true);
    throw cr::error(passing ? cr::errc::unavailable : cr::errc::bad_request,
                    std::string(given.get(0, "text").to_text()));
}

cr::value retry(cr::job_context& context, const cr::job_arguments& given) {
    const auto times = count(given, "times", retries_max);
    if (context.attempt() <= times)
        throw cr::retry_later(pause, fmt::format("attempt {} of {}", context.attempt(), times + 1));
    return context.attempt();
}

cr::value progress(cr::job_context& context, const cr::job_arguments& given) {
    const auto steps = count(given, "steps", steps_max);
    for (std::int64_t i = 1; i <= steps; ++i) {
        if (!context.wait_for(pause))
            context.throw_if_cancelled();
        context.progress(static_cast<int>(100 * i / steps), fmt::format("step {} of {}", i, steps));
    }
    return steps;
}

} // namespace

void register_jobs(cr::job_registry& registry, const std::filesystem::path& folder) {
    cr::job_options patient;
    patient.attempts_max = retries_max + 1;
    cr::job_options exact; // tests measure its delays
    exact.retry_jitter = false;
    cr::job_options told;
    told.track_started = true;
    told.attempts_max = 1; // its time limits end it, as they end a task of Celery
    registry.add("bench.noop", noop)
        .add("bench.add", add)
        .add("bench.sleep", linger, told)
        .add("bench.fail", fail, exact)
        .add("bench.retry", retry, patient)
        .add("bench.progress", progress)
        .add("bench.trace", trace_into(folder / "bench-trace.log"));
}

void register_schedules(cr::timetable& beat) {
    beat.every("bench noop", std::chrono::seconds(1), "bench.noop");
}

} // namespace showcase::bench
