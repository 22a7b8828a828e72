#include "interop/carillon_site/vector_jobs.hpp"

#include <fmt/format.h>

#include <carillon/base/error.hpp>

namespace cr = carillon;

namespace interop {

namespace {

using namespace std::chrono_literals;

cr::value add(cr::job_context&, const cr::job_arguments& given) {
    return given.get(0, "x").to_int() + given.get(1, "y").to_int();
}

cr::value total(cr::job_context&, const cr::job_arguments& given) {
    std::int64_t sum = 0;
    for (const auto& number : *given.get(0, "numbers").if_array())
        sum += number.to_int();
    return sum;
}

cr::value fail(cr::job_context&, const cr::job_arguments& given) {
    throw cr::error(cr::errc::invalid, std::string(given.get(0, "msg").to_text()));
}

cr::value retry_me(cr::job_context& context, const cr::job_arguments& given) {
    const auto times = given.get(0, "n").to_int();
    if (context.attempt() <= times)
        throw cr::retry_later(1s, "try again");
    return fmt::format("ok after {}", times);
}

cr::value progress(cr::job_context& context, const cr::job_arguments&) {
    context.progress(30, "3 of 10");
    if (!context.wait_for(1s))
        context.throw_if_cancelled();
    return "finished";
}

cr::value sleepy(cr::job_context& context, const cr::job_arguments& given) {
    const std::chrono::seconds wanted(given.get(0, "n").to_int());
    if (!context.wait_for(wanted))
        context.throw_if_cancelled();
    return wanted.count();
}

cr::value onerr(cr::job_context&, const cr::job_arguments& given) { return given.get(0, "id"); }

} // namespace

void register_vector_jobs(cr::job_registry& registry) {
    cr::job_options once;
    once.attempts_max = 1;
    registry.add("vapp.add", add)
        .add("vapp.tsum", total)
        .add("vapp.fail", fail)
        .add("vapp.retry_me", retry_me)
        .add("vapp.progress", progress)
        .add("vapp.sleepy", sleepy, once)
        .add("vapp.onerr", onerr);
}

} // namespace interop
