#include "wire/celery/json.hpp"

#include <cmath>

#include <doctest/doctest.h>

#include "wire/celery/test_vectors.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

value read(std::string_view text) { return read_json(text).value(); }

bytes bytes_of(std::string_view text) {
    const auto view = as_bytes(text);
    return {view.begin(), view.end()};
}

} // namespace

TEST_CASE("bare NaN and Infinity of Python are read as doubles") {
    const auto list = read(R"([NaN, Infinity, -Infinity,NaN,1, {"x":NaN}])");
    const auto& items = *list.if_array();
    CHECK(std::isnan(items[0].to_double(0)));
    CHECK(items[1].to_double() == INFINITY);
    CHECK(items[2].to_double() == -INFINITY);
    CHECK(std::isnan(items[3].to_double(0)));
    CHECK(items[4] == value(1));
    CHECK(std::isnan(items[5]["x"].to_double(0)));
    CHECK(std::isnan(read("NaN").to_double(0)));
}

TEST_CASE("bare words inside texts are text") {
    CHECK(read(R"(["NaN", "a \" NaN, ", "\\", NaN])").if_array()->at(1) == value("a \" NaN, "));
    CHECK(read(R"({"NaN": "Infinity"})") == value(object{{"NaN", "Infinity"}}));
}

TEST_CASE("what only resembles a bare word is malformed") {
    for (auto* text : {"[1NaN]", "[NaNs]", "[nan]", "[+Infinity]", "[- Infinity]", "[--Infinity]",
                       "{NaN:1}", "[NaN", "[Inf]", "NaN NaN", "[NaN,]"})
        CHECK(read_json(text).error().code == errc::bad_request);
}

TEST_CASE("numbers that stand for bare words cannot be forged") {
    // The first number that would be chosen, in the text already.
    const auto list = read("[17263524018263945107, NaN]");
    CHECK(list.if_array()->at(0) == value(std::uint64_t{17'263'524'018'263'945'107u}));
    CHECK(std::isnan(list.if_array()->at(1).to_double(0)));
}

TEST_CASE("NaN and infinities are never written as bare words and read to the same") {
    const value odd(array{NAN, INFINITY, -INFINITY, 1.5});
    const auto text = write_json(odd);
    CHECK(text == R"([{"__type__":"decimal","__value__":"NaN"},)"
                  R"({"__type__":"decimal","__value__":"Infinity"},)"
                  R"({"__type__":"decimal","__value__":"-Infinity"},1.5])");
    CHECK(parse_json(text).has_value());
    const auto again = read(text);
    CHECK(std::isnan(again.if_array()->at(0).to_double(0)));
    CHECK(again.if_array()->at(1) == value(INFINITY));
    CHECK(again.if_array()->at(2) == value(-INFINITY));
}

TEST_CASE("bytes travel in kombu's wrappers") {
    CHECK(write_json(bytes_of("abc")) == R"({"__type__":"bytes","__value__":"abc"})");
    CHECK(write_json(bytes_of("\xff\x00")) == R"({"__type__":"base64","__value__":"/w=="})");
    const bytes binary{std::byte{0xff}, std::byte{0}};
    CHECK(read(R"({"__type__": "base64", "__value__": "/wA="})") == value(binary));
    CHECK(read(write_json(array{binary, bytes_of("abc")})) ==
          value(array{binary, bytes_of("abc")}));
}

TEST_CASE("every typed value of Celery 5.6 passes through untouched") {
    const auto& types = *test::vectors()["json_types"]["celery_5_6_3_kombu_5_6_2"].if_object();
    REQUIRE(types.size() == 7);
    for (const auto& [name, wrapped] : types) {
        const std::string& type = name;
        CAPTURE(type);
        const auto value_read = read(to_json(array{wrapped}));
        CHECK(parse_json(write_json(value_read)).value() == value(array{wrapped}));
    }
    const auto type_named = [&](const char* name) { return type_of(*types.find(name)); };
    CHECK(type_named("datetime") == wrapped_type::datetime);
    CHECK(type_named("date") == wrapped_type::date);
    CHECK(type_named("time") == wrapped_type::time);
    CHECK(type_named("Decimal") == wrapped_type::decimal);
    CHECK(type_named("UUID") == wrapped_type::uuid);
    CHECK(unwrap_datetime(*types.find("datetime")) == from_iso8601("2026-01-02T03:04:05Z"));
    CHECK(wrapped_text(*types.find("UUID")) == "00000000000000000000000000000005");
    CHECK(wrapped_text(*types.find("Decimal")) == "1.5");
}

TEST_CASE("typed values of ours look like those of Celery 5.6") {
    const auto& types = test::vectors()["json_types"]["celery_5_6_3_kombu_5_6_2"];
    CHECK(wrap_datetime(*from_iso8601("2026-01-02T03:04:05Z")) == types["datetime"]);
    CHECK(wrap_text("date", "2026-01-02") == types["date"]);
    CHECK(wrap_text("decimal", "1.5") == types["Decimal"]);
    CHECK(wrap_uuid("00000000-0000-0000-0000-000000000005") == types["UUID"]);
    CHECK(to_isoformat(*from_iso8601("2026-01-02T03:04:05.25Z")) ==
          "2026-01-02T03:04:05.250000+00:00");
}

TEST_CASE("wrappers whose content does not fit stay objects") {
    for (auto* text :
         {R"({"__type__":"base64","__value__":"?"})", R"({"__type__":"bytes","__value__":7})",
          R"({"__type__":"color","__value__":"red"})", R"({"__type__":"decimal","__value__":"1"})",
          R"({"__type__":"bytes","__value__":"abc","more":1})", R"({"__type__":"bytes"})"})
        CHECK(read(text) == parse_json(text).value());
    CHECK(type_of(read(R"({"__type__":"color","__value__":"red"})")) == wrapped_type::unknown);
    CHECK(type_of(value(7)) == wrapped_type::none);
    CHECK(type_of(value(object{{"__type__", "date"}})) == wrapped_type::none);
}

TEST_CASE("JSON that is too deep is refused as such") {
    std::string deep(100, '[');
    deep += "NaN";
    deep.append(100, ']');
    CHECK(read_json(deep).error().code == errc::too_large);
}

} // namespace carillon::wire::celery
