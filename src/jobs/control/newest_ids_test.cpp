#include "jobs/control/newest_ids.hpp"

#include <doctest/doctest.h>

namespace carillon::jobs {

using namespace std::chrono_literals;

TEST_CASE("the newest ids are kept, each for a time and once") {
    newest_ids ids({3, 10s});
    const auto start = now();
    ids.add({"a", "b", "a", "", std::string(300, 'x')}, start);
    CHECK(ids.size(start) == 2);
    ids.add({"c", "a"}, start + 1s); // the newest now
    ids.add({"d"}, start + 2s);
    CHECK(ids.size(start + 2s) == 3);
    CHECK_FALSE(ids.contains("b", start + 2s));
    CHECK(ids.contains("a", start + 2s));
    const auto all = ids.all(start + 2s);
    REQUIRE(all.size() == 3);
    CHECK(all[0].id == "c");
    CHECK(all[1].id == "a");
    CHECK(all[2].id == "d");
    CHECK_FALSE(ids.contains("a", start + 11s));
    CHECK(ids.contains("d", start + 11s));
    CHECK(ids.size(start + 12s) == 0);
    // the same id again and again does not fill the memory
    for (int i = 0; i < 1'000; ++i)
        ids.add({"e"}, start + 20s + std::chrono::milliseconds(i));
    CHECK(ids.contains("e", start + 21s));
    CHECK(ids.size(start + 21s) == 1);
}

TEST_CASE("without a life ids are kept until newer ones take their place") {
    newest_ids ids({2});
    const auto start = now();
    ids.add({"a"}, start);
    ids.add({"b"}, start + 1s);
    CHECK(ids.contains("a", start + 24h * 365));
    ids.add({"c"}, start + 2s);
    CHECK_FALSE(ids.contains("a", start + 2s));
    CHECK(ids.contains("b", start + 2s));
    CHECK(ids.contains("c", start + 2s));
}

} // namespace carillon::jobs
