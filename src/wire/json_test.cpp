#include <carillon/wire/json.hpp>

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

namespace carillon {

namespace {

using namespace std::string_literals;

std::string round_trip(std::string_view text) {
    auto v = parse_json(text);
    return v ? to_json(*v) : v.error().message;
}

errc refused(std::string_view text) {
    auto v = parse_json(text);
    return v ? errc{} : v.error().code;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

} // namespace

TEST_CASE("JSON is read and written back without spaces") {
    for (const char* text :
         {"null", "true", "false", "0", "-1", "\"\"", "[]", "{}", "[1,[2,{}],\"x\"]",
          R"({"type":"chat.message","n":1,"list":[true,false,null],"inner":{"a":{"b":[]}}})"})
        CHECK(round_trip(text) == text);
    CHECK(round_trip(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n") == R"({"a":[1,2]})");
}

TEST_CASE("integers stay integers over 64 bits, larger ones become doubles") {
    CHECK(*parse_json("9223372036854775807")->if_int64() == INT64_MAX);
    CHECK(*parse_json("-9223372036854775808")->if_int64() == INT64_MIN);
    CHECK(*parse_json("9223372036854775808")->if_uint64() == std::uint64_t{1} << 63);
    CHECK(*parse_json("18446744073709551615")->if_uint64() == UINT64_MAX);
    CHECK(*parse_json("18446744073709551616")->if_double() == 18446744073709551616.0);
    CHECK(*parse_json("-9223372036854775809")->if_double() == -9223372036854775808.0);
    CHECK(round_trip("[9223372036854775807,-9223372036854775808,18446744073709551615]") ==
          "[9223372036854775807,-9223372036854775808,18446744073709551615]");
    CHECK(*parse_json("-0")->if_int64() == 0);
}

TEST_CASE("doubles are read to the nearest and written in their shortest form") {
    for (const double d :
         {0.1, 0.3, 4.35, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 123456.789e-7,
          9007199254740993.0, 1e23, 8.41e21, 3.141592653589793, -0.0}) {
        const auto back = parse_json(to_json(d));
        REQUIRE(back);
        REQUIRE(back->if_double());
        CHECK(*back->if_double() == d);
        CHECK(std::signbit(*back->if_double()) == std::signbit(d));
    }
    CHECK(*parse_json("9007199254740993.0")->if_double() == 9007199254740992.0);
    CHECK(
        *parse_json("2.22507385850720113605740979670913197593481954635164564e-308")->if_double() ==
        2.2250738585072011e-308);
    CHECK(to_json(1.0) == "1.0");
    CHECK(to_json(1e300) == "1e+300");
    CHECK(*parse_json("1E+2")->if_double() == 100.0);
    CHECK(*parse_json("1e-400")->if_double() == 0.0);
    CHECK(std::signbit(*parse_json("-1e-400")->if_double()));
    CHECK(to_json(std::numeric_limits<double>::infinity()) == "null");
    CHECK(to_json(std::nan("")) == "null");
}

TEST_CASE("numbers beyond a double are refused") {
    for (const char* text : {"1e400", "-1e400", "[1e309]", "1e99999999999"})
        CHECK(refused(text) == errc::bad_request);
}

TEST_CASE("of equal names the last value wins and the first place stays") {
    CHECK(round_trip(R"({"a":1,"b":2,"a":3,"c":4,"b":5,"a":6})") == R"({"a":6,"b":5,"c":4})");
    CHECK(round_trip(R"({"":1,"":2})") == R"({"":2})");
    CHECK(round_trip(R"({"a":1,"\u0061":2})") == R"({"a":2})");
    CHECK(round_trip(R"({"a":{"x":1,"x":2},"a":{"y":1}})") == R"({"a":{"y":1}})");
}

TEST_CASE("an object of many members is read in much less than the square of its size") {
    std::string text = "{";
    for (int i = 0; i < 100000; ++i)
        text += "\"k" + std::to_string(i % 60000) + "\":" + std::to_string(i) + ",";
    text.back() = '}';
    const auto v = parse_json(text);
    REQUIRE(v);
    CHECK(v->if_object()->size() == 60000);
    CHECK(v->if_object()->begin()->second.to_int() == 60000);
}

TEST_CASE("nesting is bounded") {
    CHECK(parse_json(nested(json_depth_max)).has_value());
    CHECK(refused(nested(json_depth_max + 1)) == errc::too_large);
    CHECK(refused(std::string(1000000, '[')) == errc::too_large);
}

TEST_CASE("malformed JSON is refused and the byte is named") {
    for (const char* text :
         {"",        " ",       "[",         "{",   "[1,]",    "{\"a\":1,}", "{\"a\"}",
          "{a:1}",   "'a'",     "01",        "+1",  ".5",      "1.",         "1e",
          "-",       "NaN",     "Infinity",  "tru", "nul",     "[1 2]",      "\"",
          "\"\n\"",  "\"\\x\"", "\"\\u12\"", "1 2", "// c\n1", "[1]x",       "\xef\xbb\xbf[]",
          "\"\x1f\""}) {
        CAPTURE(text);
        CHECK(refused(text) == errc::bad_request);
    }
    CHECK(parse_json("[1,\n x]").error().message.find("byte 5") != std::string::npos);
    CHECK(refused("\"a\0b\""s) == errc::bad_request);
}

TEST_CASE("text must be UTF-8, and escapes must make characters") {
    CHECK(round_trip(R"("\u00e9\ud83d\ude00\u0000")") == "\"\xc3\xa9\xf0\x9f\x98\x80\\u0000\"");
    for (const char* text :
         {R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\ud83dx")", R"("\ude00\ud83d")",
          "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc3\"", "{\"\xff\":1}"}) {
        CAPTURE(text);
        CHECK(refused(text) == errc::bad_request);
    }
}

TEST_CASE("text is escaped so that it may stand inside a script element") {
    CHECK(to_json("</script><!-- a < b / c") == R"("<\/script><\u0021-- a < b / c")");
    CHECK(round_trip(to_json("</script><!-- <")) == to_json("</script><!-- <"));
    CHECK(parse_json(to_json("</script><!-- <"))->to_text() == "</script><!-- <");
    CHECK(to_json("\"\\\b\f\n\r\t\x01\x1f\x7f") == "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    CHECK(to_json(object{{"</", 1}}) == R"({"<\/":1})");
}

TEST_CASE("what is not UTF-8 is replaced, and bytes become base64") {
    CHECK(to_json(std::string("a\xff"
                              "b")) == "\"a\xef\xbf\xbd"
                                       "b\"");
    CHECK(to_json(bytes{std::byte{0xfb}, std::byte{0xff}}) == "\"+/8=\"");
    std::string out = "data: ";
    append_json(out, array{1, "x"});
    CHECK(out == "data: [1,\"x\"]");
}

} // namespace carillon
