#include <carillon/base/clock.hpp>

#include <doctest/doctest.h>

namespace carillon {

TEST_CASE("a time survives its text") {
    const utc_time when{std::chrono::microseconds(1'770'129'000'123'456)};
    CHECK(to_iso8601(when) == "2026-02-03T14:30:00.123456Z");
    CHECK(from_iso8601(to_iso8601(when)) == when);
}

TEST_CASE("offsets and fractions are read, malformed text is not") {
    const auto utc = from_iso8601("2026-02-03T14:30:00Z");
    REQUIRE(utc);
    CHECK(from_iso8601("2026-02-03T15:30:00+01:00") == utc);
    CHECK(from_iso8601("2026-02-03 14:30:00") == utc);
    CHECK(from_iso8601("2026-02-03T14:30:00.000000000+00:00") == utc);
    for (auto* bad : {"", "2026", "2026-02-30T00:00:00Z", "2026-02-03T25:00:00Z",
                      "2026-02-03T14:30:00Zx", "2026-02-03T14:30:00+1", "-026-02-03T14:30:00Z"})
        CHECK_FALSE(from_iso8601(bad));
}

} // namespace carillon
