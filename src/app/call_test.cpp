#include "app/call.hpp"

#include <doctest/doctest.h>

namespace carillon::app {

namespace {

using namespace std::chrono_literals;

const utc_time present = from_iso8601("2026-02-03T14:30:00Z").value();

call_arguments with(std::string call_arguments::*member, std::string text) {
    call_arguments given;
    given.task = "t";
    given.*member = std::move(text);
    return given;
}

std::string refusal(const call_arguments& given) {
    const auto asked = enqueue_options_of(given, present);
    REQUIRE_FALSE(asked);
    CHECK(asked.error().code == errc::invalid);
    return asked.error().message;
}

} // namespace

TEST_CASE("a call without options asks for nothing") {
    const auto asked = enqueue_options_of(call_arguments{}, present).value();
    CHECK(asked.queue.empty());
    CHECK(asked.countdown == 0ms);
    CHECK_FALSE(asked.eta);
    CHECK_FALSE(asked.expires);
    CHECK(asked.priority == 0);
    CHECK_FALSE(asked.ignore_result);
}

TEST_CASE("a countdown is seconds, rounded up to a millisecond") {
    const auto countdown = [](const char* text) {
        return enqueue_options_of(with(&call_arguments::countdown, text), present)
            .value()
            .countdown;
    };
    CHECK(countdown("0") == 0ms);
    CHECK(countdown("2.5") == 2'500ms);
    CHECK(countdown("0.0001") == 1ms);
    for (auto* wrong : {"-1", "soon", "1 s", "nan", "inf", "1e99"})
        CHECK(refusal(with(&call_arguments::countdown, wrong)) ==
              std::string("--countdown ") + wrong +
                  ": not a number of seconds from 0 to ten years");
}

TEST_CASE("an eta is a moment") {
    const auto asked =
        enqueue_options_of(with(&call_arguments::eta, "2026-02-03T16:00:00+01:00"), present)
            .value();
    CHECK(asked.eta == present + 30min);
    CHECK(refusal(with(&call_arguments::eta, "tomorrow")).starts_with("--eta tomorrow: not a "));
    auto both = with(&call_arguments::eta, "2026-02-03T16:00:00Z");
    both.countdown = "1";
    CHECK(refusal(both).starts_with("--countdown and --eta both say"));
}

TEST_CASE("an expiry is seconds from now or a moment") {
    const auto expires = [](const char* text) {
        return enqueue_options_of(with(&call_arguments::expires, text), present).value().expires;
    };
    CHECK(expires("90") == present + 90s);
    CHECK(expires("2026-02-03T14:31:30Z") == present + 90s);
    CHECK(refusal(with(&call_arguments::expires, "-1")).starts_with("--expires -1: neither a "));
}

TEST_CASE("who waits for a result does not ignore it") {
    call_arguments given;
    given.ignore_result = true;
    CHECK(enqueue_options_of(given, present).value().ignore_result);
    given.wait = true;
    CHECK(refusal(given).starts_with("--wait needs the result"));
}

} // namespace carillon::app
