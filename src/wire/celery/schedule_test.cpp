#include "wire/celery/schedule.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace carillon::wire::celery {

namespace {

utc_time at(std::string_view text) { return *from_iso8601(text); }

std::string next(std::string_view line, std::string_view after, const char* zone = "UTC") {
    const auto due = crontab::parse(line).value().next(at(after), time_zone::named(zone).value());
    return due ? to_iso8601(*due).substr(0, 16) : "never";
}

// The next times one after the other.
std::vector<std::string> times(std::string_view line, std::string_view after, const char* zone,
                               int count) {
    const auto schedule = crontab::parse(line).value();
    const auto where = time_zone::named(zone).value();
    std::vector<std::string> all;
    auto when = at(after);
    for (int i = 0; i < count; ++i) {
        when = schedule.next(when, where).value();
        all.push_back(to_iso8601(when).substr(0, 16));
    }
    return all;
}

} // namespace

TEST_CASE("fields have stars, steps, ranges, lists and names") {
    constexpr auto monday = "2026-11-23T10:07:30Z";
    CHECK(next("* * * * *", monday) == "2026-11-23T10:08");
    CHECK(next("*/15 * * * *", monday) == "2026-11-23T10:15");
    CHECK(next("0 * * * *", monday) == "2026-11-23T11:00");
    CHECK(next("5,50 8-9,23 * * *", monday) == "2026-11-23T23:05");
    CHECK(next("10-40/20 10 * * *", monday) == "2026-11-23T10:10");
    CHECK(next("0 0 1 * *", monday) == "2026-12-01T00:00");
    CHECK(next("0 0 * * sun", monday) == "2026-11-29T00:00");
    CHECK(next("0 0 * * 7", monday) == "2026-11-29T00:00");
    CHECK(next("0 0 * * Friday", monday) == "2026-11-27T00:00");
    CHECK(next("0 0 * feb mon-fri", monday) == "2027-02-01T00:00");
    CHECK(next("0 22-4/3 * * *", "2026-11-23T22:00:00Z") == "2026-11-24T01:00");
    CHECK(next("0 0 * * fri-mon", "2026-11-23T00:00:00Z") == "2026-11-27T00:00");
    CHECK(next("0 0 * * 5-7", "2026-11-28T00:00:00Z") == "2026-11-29T00:00");
    CHECK(next("59 23 31 12 *", monday) == "2026-12-31T23:59");
    CHECK(next("0 0 */10 * *", monday) == "2026-12-01T00:00"); // 1, 11, 21, 31
}

TEST_CASE("both days have to match, as in Celery") {
    CHECK(next("0 0 13 * fri", "2026-11-20T00:00:00Z") == "2027-08-13T00:00");
    CHECK(next("0 0 29 2 *", "2026-11-20T00:00:00Z") == "2028-02-29T00:00");
    CHECK(next("0 0 29 2 mon", "2026-11-20T00:00:00Z") == "2044-02-29T00:00");
    CHECK(next("0 0 30 feb *", "2026-11-20T00:00:00Z") == "never");
}

TEST_CASE("the next time is after the given one, never the same") {
    CHECK(next("0 10 * * *", "2026-11-23T10:00:00Z") == "2026-11-24T10:00");
    CHECK(next("0 10 * * *", "2026-11-23T09:59:59.999999Z") == "2026-11-23T10:00");
    CHECK(next("* * * * *", "2026-12-31T23:59:00Z") == "2027-01-01T00:00");
}

TEST_CASE("what is no crontab is refused, and the field is named") {
    const auto why = [](std::string_view line) {
        const auto parsed = crontab::parse(line);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == errc::invalid);
        return parsed.error().message;
    };
    CHECK(why("60 * * * *") == "crontab: `60` is no minute between 0 and 59");
    CHECK(why("* 24 * * *") == "crontab: `24` is no hour between 0 and 23");
    CHECK(why("* * 0 * *") == "crontab: `0` is no day_of_month between 1 and 31");
    CHECK(why("* * * 13 *") == "crontab: `13` is no month_of_year between 1 and 12");
    CHECK(why("* * * * 8") == "crontab: `8` is no day_of_week between 0 and 6");
    CHECK(why("* * * *") == "crontab: fewer than five fields");
    CHECK(why("* * * * * *") == "crontab: more than five fields");
    for (auto* line : {"*/0 * * * *", "*/ * * * *", "1, * * * *", ",1 * * * *", "5/10 * * * *",
                       "-1 * * * *", "1-2-3 * * * *", "** * * * *", "mon * * * *", "* * * * mo",
                       "* * * mond *", "1- * * * *", "*/-5 * * * *", "99999999999 * * * *", ""})
        why(line);
    crontab_fields fields;
    fields.minute = std::string(600, '1');
    CHECK(crontab::parse(fields).error().message == "crontab: the field minute is too long");
    fields.minute.clear();
    CHECK(crontab::parse(fields).error().code == errc::invalid);
}

TEST_CASE("a time that clocks leave out is due at the change, and only once") {
    // In Oslo 02:00 to 02:59 does not exist on 29 March 2026; the change is at 01:00 UTC.
    CHECK(times("30 2 * * *", "2026-03-28T00:00:00Z", "Europe/Oslo", 3) ==
          std::vector<std::string>{"2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"});
    CHECK(times("*/20 * * * *", "2026-03-29T00:30:00Z", "Europe/Oslo", 4) ==
          std::vector<std::string>{"2026-03-29T00:40", "2026-03-29T01:00", "2026-03-29T01:20",
                                   "2026-03-29T01:40"});
}

TEST_CASE("a time that clocks show twice is due once, every hour's both times") {
    // In Oslo 02:00 to 02:59 comes twice on 25 October 2026: from 00:00 and from 01:00 UTC.
    CHECK(times("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Oslo", 2) ==
          std::vector<std::string>{"2026-10-25T00:30", "2026-10-26T01:30"});
    CHECK(next("30 2 * * *", "2026-10-25T01:10:00Z", "Europe/Oslo") == "2026-10-26T01:30");
    CHECK(times("*/30 * * * *", "2026-10-24T23:30:00Z", "Europe/Oslo", 6) ==
          std::vector<std::string>{"2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00",
                                   "2026-10-25T01:30", "2026-10-25T02:00", "2026-10-25T02:30"});
    CHECK(times("45 * * * *", "2026-10-25T00:00:00Z", "Europe/Oslo", 3) ==
          std::vector<std::string>{"2026-10-25T00:45", "2026-10-25T01:45", "2026-10-25T02:45"});
}

TEST_CASE("zones with odd offsets and odd changes are followed") {
    CHECK(next("0 0 * * *", "2026-11-20T00:00:00Z", "Asia/Kathmandu") == "2026-11-20T18:15");
    // Half an hour: Lord Howe shows 01:30 to 01:59 twice on 5 April 2026, from 14:30 UTC of the day before.
    CHECK(times("*/15 * * * *", "2026-04-04T14:50:00Z", "Australia/Lord_Howe", 3) ==
          std::vector<std::string>{"2026-04-04T15:00", "2026-04-04T15:15", "2026-04-04T15:30"});
    // The day that Samoa left out.
    CHECK(next("0 12 30 12 *", "2011-12-29T12:00:00Z", "Pacific/Apia") == "2011-12-30T10:00");
    // Far years follow the newest rule.
    CHECK(next("0 12 1 7 *", "2090-01-01T00:00:00Z", "Europe/Oslo") == "2090-07-01T10:00");
}

TEST_CASE("names of zones cannot lead anywhere else") {
    for (auto* name : {"", "/etc/passwd", "../../etc/passwd", "Europe/../../x", "a b", "Europe\n"})
        CHECK(time_zone::named(name).error().code == errc::invalid);
    CHECK(time_zone::named("Middle/Earth").error().code == errc::not_found);
    CHECK(time_zone().name() == "UTC");
    CHECK(time_zone::named("Europe/Oslo").value().at(at("2026-07-01T10:30:59Z")) ==
          wall_time{2026, 7, 1, 12, 30});
}

} // namespace carillon::wire::celery
