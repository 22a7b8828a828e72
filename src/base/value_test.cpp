#include <carillon/base/value.hpp>

#include <doctest/doctest.h>

namespace carillon {

TEST_CASE("an object keeps the order of its members and replaces in place") {
    object o{{"type", "x"}, {"n", 1}};
    o.set("m", true);
    o.set("type", "y");
    CHECK(o.size() == 3);
    CHECK(o.begin()->first == "type");
    CHECK(o.find("type")->to_text() == "y");
    CHECK(o.erase("n"));
    CHECK_FALSE(o.erase("n"));
}

TEST_CASE("an integer keeps its value over the whole range of 64 bits, signed and unsigned") {
    CHECK(*value(UINT64_MAX).if_uint64() == UINT64_MAX);
    CHECK(*value(std::uint64_t{5}).if_int64() == 5);
    CHECK(*value(INT64_MIN).if_int64() == INT64_MIN);
    CHECK(value(3.0).to_int() == 3);
    CHECK(value(3.5).to_int(-1) == -1);
    CHECK(value(1e300).to_int(-1) == -1);
}

TEST_CASE("a missing member reads as null") {
    const value v = object{{"a", object{{"b", 7}}}};
    CHECK(v["a"]["b"].to_int() == 7);
    CHECK(v["a"]["c"].is_null());
    CHECK(v["x"]["y"].is_null());
}

TEST_CASE("objects are equal whatever the order of their members") {
    CHECK(value(object{{"a", 1}, {"b", 2}}) == value(object{{"b", 2}, {"a", 1}}));
    CHECK_FALSE(value(object{{"a", 1}}) == value(object{{"a", 1.0}}));
}

} // namespace carillon
