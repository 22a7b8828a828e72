#include "wire/msgpack.hpp"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "wire/layer/test_vectors.hpp"

namespace carillon::wire {

namespace {

using layer::test::unhex;

std::string packed(const value& v) {
    std::string out;
    append_msgpack(out, v).value();
    return out;
}

errc refusal(std::string_view data) {
    const auto read = parse_msgpack(data);
    REQUIRE_FALSE(read);
    CHECK_FALSE(read.error().message.empty());
    return read.error().code;
}

std::string text_of(std::size_t size) { return std::string(size, 'x'); }

bytes bytes_of(std::size_t size) { return bytes(size, std::byte{7}); }

// `depth` lists inside each other.
value nested_list(std::size_t depth) {
    value v = array{};
    for (std::size_t i = 1; i < depth; ++i) {
        array around;
        around.push_back(std::move(v));
        v = std::move(around);
    }
    return v;
}

} // namespace

TEST_CASE("values are written in their shortest form, and read back") {
    const std::pair<value, std::string_view> forms[] = {
        {nullptr, "c0"},
        {false, "c2"},
        {true, "c3"},
        {0, "00"},
        {127, "7f"},
        {128, "cc80"},
        {255, "ccff"},
        {256, "cd0100"},
        {65535, "cdffff"},
        {65536, "ce00010000"},
        {4294967295u, "ceffffffff"},
        {4294967296, "cf0000000100000000"},
        {INT64_MAX, "cf7fffffffffffffff"},
        {UINT64_MAX, "cfffffffffffffffff"},
        {-1, "ff"},
        {-32, "e0"},
        {-33, "d0df"},
        {-128, "d080"},
        {-129, "d1ff7f"},
        {-32768, "d18000"},
        {-32769, "d2ffff7fff"},
        {INT32_MIN, "d280000000"},
        {std::int64_t{INT32_MIN} - 1, "d3ffffffff7fffffff"},
        {INT64_MIN, "d38000000000000000"},
        {1.5, "cb3ff8000000000000"},
        {-0.0, "cb8000000000000000"},
        {"", "a0"},
        {"h\xc3\xa9", "a368c3a9"},
        {bytes(), "c400"},
        {array{}, "90"},
        {array{1, array{"x"}}, "920191a178"},
        {object{}, "80"},
        {object{{"b", 1}, {"a", nullptr}}, "82a16201a161c0"},
    };
    for (const auto& [v, hex] : forms) {
        const auto form = hex;
        CAPTURE(form);
        CHECK(packed(v) == unhex(hex));
        CHECK(parse_msgpack(unhex(hex)).value() == v);
    }
}

TEST_CASE("sizes choose the width of the head") {
    const std::pair<value, std::string_view> heads[] = {
        {text_of(31), "bf"},      {text_of(32), "d920"},      {text_of(255), "d9ff"},
        {text_of(256), "da0100"}, {text_of(65535), "daffff"}, {text_of(65536), "db00010000"},
        {bytes_of(255), "c4ff"},  {bytes_of(256), "c50100"},  {bytes_of(65536), "c600010000"},
        {array(15, 1), "9f"},     {array(16, 1), "dc0010"},   {array(65536, 1), "dd00010000"},
    };
    for (const auto& [v, hex] : heads) {
        const auto form = hex;
        CAPTURE(form);
        const auto data = packed(v);
        CHECK(data.starts_with(unhex(hex)));
        CHECK(parse_msgpack(data).value() == v);
    }
    for (const auto& [size, hex] : std::initializer_list<std::pair<int, std::string_view>>{
             {15, "8f"}, {16, "de0010"}, {65536, "df00010000"}}) {
        object o;
        for (int i = 0; i < size; ++i)
            o.append("k" + std::to_string(i), i);
        const auto data = packed(o);
        CHECK(data.starts_with(unhex(hex)));
        // Comparing objects costs the square of their size.
        CHECK(packed(parse_msgpack(data).value()) == data);
    }
}

TEST_CASE("floats that are no numbers survive") {
    CHECK(packed(std::numeric_limits<double>::infinity()) == unhex("cb7ff0000000000000"));
    CHECK(std::isnan(parse_msgpack(packed(std::nan(""))).value().to_double()));
}

TEST_CASE("wider forms than needed and 32-bit floats are read") {
    const std::pair<std::string_view, value> forms[] = {
        {"cc01", 1},
        {"cd0001", 1},
        {"ce00000001", 1},
        {"cf0000000000000001", 1},
        {"d001", 1},
        {"d1ffff", -1},
        {"d2ffffffff", -1},
        {"d3ffffffffffffffff", -1},
        {"ca3fc00000", 1.5},
        {"d90178", "x"},
        {"da000178", "x"},
        {"db0000000178", "x"},
        {"c5000107", bytes_of(1)},
        {"c60000000107", bytes_of(1)},
        {"dc000101", array{1}},
        {"dd0000000101", array{1}},
        {"de0001a16b01", object{{"k", 1}}},
        {"df00000001d9016b01", object{{"k", 1}}},
        {"81c4016b01", object{{"k", 1}}},
        {"81c500016b01", object{{"k", 1}}},
    };
    for (const auto& [hex, v] : forms) {
        const auto form = hex;
        CAPTURE(form);
        CHECK(parse_msgpack(unhex(hex)).value() == v);
    }
}

TEST_CASE("of equal keys the last value wins, in maps of any size") {
    CHECK(parse_msgpack(unhex("83a16101a16202a16103")).value() ==
          value(object{{"a", 3}, {"b", 2}}));
    std::string large = unhex("de2710"); // 10,000 members
    for (int i = 0; i < 10'000; ++i)
        large += packed("k" + std::to_string(i % 100)) + packed(i);
    const auto read = parse_msgpack(large).value();
    REQUIRE(read.if_object()->size() == 100);
    CHECK(read.if_object()->begin()->first == "k0");
    CHECK(read["k0"] == value(9'900));
    CHECK(read["k99"] == value(9'999));
}

TEST_CASE("a message cut at any byte, or with a byte more, is refused") {
    const auto& all =
        layer::test::items_of(layer::test::vectors()["core_layer_message_bytes"]["plain_msgpack"]);
    for (const auto& v : all) {
        const auto data = unhex(v["msgpack_hex"].to_text());
        for (std::size_t size = 0; size < data.size(); ++size)
            REQUIRE(refusal(std::string_view(data).substr(0, size)) == errc::corrupt);
        CHECK(refusal(data + '\0') == errc::corrupt);
        CHECK(parse_msgpack(data));
    }
}

TEST_CASE("what Python would not read is refused") {
    for (const std::string_view hex :
         {"c1", "a1ff", "a3eda080", "81a1ff01", "8101a0", "81c001", "81c201",
          "81cb00000000000000000001", "819001", "818001", "81c401ff01"}) {
        CAPTURE(hex);
        CHECK(refusal(unhex(hex)) == errc::corrupt);
    }
    // Python makes library objects of these.
    for (const std::string_view hex : {"d405aa", "d505aaaa", "d6ff6553f100", "d7ff0000000000000000",
                                       "c70105aa", "c8000105aa", "c90000000105aa", "c70005"}) {
        CAPTURE(hex);
        CHECK(refusal(unhex(hex)) == errc::corrupt);
    }
}

TEST_CASE("announced sizes without bytes are refused before memory is taken") {
    for (const std::string_view hex : {"ddffffffff", "dfffffffff", "dbffffffff", "c6ffffffff",
                                       "ddffffffffc0", "dfffffffffa16101"})
        CHECK(refusal(unhex(hex)) == errc::corrupt);
    // Each of the 63 heads alone could be true; together they announce 63 times what is there. Were all reserved, it
    // would take 2.6 GB.
    std::string hostile;
    constexpr std::uint32_t announced = 1 << 20;
    for (int i = 0; i < 63; ++i)
        append_msgpack_array_head(hostile, announced);
    hostile.append(announced, '\xc1');
    CHECK(refusal(hostile) == errc::corrupt);
}

TEST_CASE("values nest 64 deep and no deeper, in both directions") {
    const auto deepest = nested_list(msgpack_depth_max);
    const auto data = packed(deepest);
    CHECK(parse_msgpack(data).value() == deepest);
    CHECK(refusal("\x91" + data) == errc::too_large);
    CHECK(refusal(std::string(1'000'000, '\x91')) == errc::too_large);

    std::string out = "before";
    const auto refused = append_msgpack(out, nested_list(msgpack_depth_max + 1));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::too_large);
    CHECK(out == "before");
    CHECK_FALSE(append_msgpack(out, nested_list(3), 2));
    CHECK(append_msgpack(out, nested_list(2), 2));
}

TEST_CASE("text that is no UTF-8 is not written, and nothing with it") {
    std::string out = "before";
    for (const value& bad : {value("\xff"), value("\xed\xa0\x80"), value(object{{"\xc3", 1}}),
                             value(array{1, object{{"a", array{"x", "\x80"}}}})}) {
        const auto refused = append_msgpack(out, bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == errc::invalid);
        CHECK(out == "before");
    }
    CHECK_FALSE(append_msgpack_text(out, "\xff"));
    CHECK(append_msgpack_text(out, "x"));
    CHECK(out == "before\xa1x");
}

} // namespace carillon::wire
