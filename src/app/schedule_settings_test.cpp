// The tables [schedule.NAME] of the configuration file: what they become, and how a mistake is told.

#include <doctest/doctest.h>

#include "app/schedule_settings.hpp"

using namespace carillon;
using namespace carillon::app;
using namespace std::chrono_literals;

namespace {

result<std::vector<schedule_entry>> read(std::string_view text) {
    const auto file = toml::parse(text);
    return read_schedules(*file.get("schedule"), "c.toml");
}

std::string complaint(std::string_view text) {
    const auto entries = read(text);
    return entries ? "" : entries.error().message;
}

} // namespace

TEST_CASE("a table says what a schedule sends, and when") {
    const auto entries = read(R"(
[schedule."nightly report"]
task = "reports.build"
cron = "30 2 * * mon-fri"
zone = "Europe/Oslo"
args = [1, 2.5, true, "x", [2], {a = 1}]
kwargs = {kind = "all"}
queue = "slow"
priority = 3
expires-after = 3600
ignore_result = true
[schedule.tidy]
task = "reports.tidy"
every = 0.5
)");
    REQUIRE(entries);
    REQUIRE(entries->size() == 2);
    const auto& nightly = (*entries)[0];
    CHECK(nightly.name == "nightly report");
    CHECK(nightly.task == "reports.build");
    CHECK(nightly.when.text() == "30 2 * * mon-fri Europe/Oslo");
    CHECK(nightly.arguments.args == array{1, 2.5, true, "x", array{2}, object{{"a", 1}}});
    CHECK(nightly.arguments.kwargs == object{{"kind", "all"}});
    CHECK(nightly.options.queue == "slow");
    CHECK(nightly.options.priority == 3);
    CHECK(nightly.options.ignore_result);
    CHECK(nightly.expires_after == 1h);
    const auto& tidy = (*entries)[1];
    CHECK(tidy.when.text() == "every 500 ms");
    CHECK(tidy.options.queue.empty());
    CHECK_FALSE(tidy.options.ignore_result);
}

TEST_CASE("a mistake in a schedule names file, line and key") {
    const std::string good = "[schedule.x]\ntask = 't'\nevery = 1\n";
    CHECK(complaint(good).empty());
    CHECK(complaint(good + "evry = 2") ==
          "c.toml:4: schedule.x.evry: unknown; a schedule has task, every, cron, zone, args, "
          "kwargs, queue, priority, expires-after, ignore-result");
    for (const auto* wrong :
         {"queue = 3", "priority = 10", "priority = 'high'", "expires-after = -1", "args = 'x'",
          "kwargs = [1]", "args = [2026-01-01]", "args = [inf]", "ignore-result = 1"}) {
        CAPTURE(wrong);
        CHECK(complaint(good + wrong).starts_with("c.toml:4: schedule.x."));
    }
    CHECK(complaint("[schedule.x]\ntask = 't'\n") ==
          "c.toml:1: schedule.x: give either every (seconds) or cron");
    CHECK_FALSE(complaint(good + "cron = '* * * * *'").empty());
    CHECK_FALSE(complaint(good + "zone = 'UTC'").empty());
    CHECK_FALSE(complaint("[schedule.x]\nevery = 1\n").empty());
    CHECK_FALSE(complaint("[schedule.x]\ntask = 't'\nevery = 0.01\n").empty());
    CHECK_FALSE(complaint("[schedule.x]\ntask = 't'\nevery = 'often'\n").empty());
    CHECK_FALSE(complaint("[schedule.x]\ntask = 't'\ncron = '61 * * * *'\n").empty());
    CHECK_FALSE(
        complaint("[schedule.x]\ntask = 't'\ncron = '1 * * * *'\nzone = 'No/Where'").empty());
    CHECK_FALSE(complaint("schedule = 3").empty());
    CHECK_FALSE(complaint("schedule.x = 3").empty());
}
