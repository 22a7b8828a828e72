#include "wire/utf8.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace carillon::wire {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t whole = static_cast<std::size_t>(-1);
constexpr std::size_t cut_short = static_cast<std::size_t>(-2);

struct utf8_case {
    std::string_view text;
    // Index of the byte that makes the text invalid; `whole` for valid text, `cut_short` for the
    // beginning of one.
    std::size_t first_bad;
};

const std::vector<utf8_case> cases = {
    {""sv, whole},
    {"plain ASCII, longer than sixteen bytes, with \0 inside"sv, whole},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"sv, whole},
    {"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!"sv, whole},
    // A surrogate in the middle of a text.
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64"sv, 12},
    // Above U+10FFFF in the middle of a text.
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65\x64"sv, 12},
    // First and last of each length.
    {"\x00"sv, whole},
    {"\x7f"sv, whole},
    {"\xc2\x80"sv, whole},
    {"\xdf\xbf"sv, whole},
    {"\xe0\xa0\x80"sv, whole},
    {"\xef\xbf\xbf"sv, whole},
    {"\xf0\x90\x80\x80"sv, whole},
    {"\xf4\x8f\xbf\xbf"sv, whole},
    {"\xf4\x90\x80\x80"sv, 1},
    {"\xf7\xbf\xbf\xbf"sv, 0},
    {"\xf8\x88\x80\x80\x80"sv, 0},
    {"\xfb\xbf\xbf\xbf\xbf"sv, 0},
    {"\xfc\x84\x80\x80\x80\x80"sv, 0},
    {"\xfd\xbf\xbf\xbf\xbf\xbf"sv, 0},
    // Beside the surrogates, and the replacement character.
    {"\xed\x9f\xbf"sv, whole},
    {"\xee\x80\x80"sv, whole},
    {"\xef\xbf\xbd"sv, whole},
    // Continuation bytes alone.
    {"\x80"sv, 0},
    {"\xbf"sv, 0},
    {"a\x80\xbf\x80"sv, 1},
    // Lead bytes followed by a space.
    {"\xc2 "sv, 1},
    {"\xe0 "sv, 1},
    {"\xf0 "sv, 1},
    {"\xfe"sv, 0},
    {"\xff"sv, 0},
    // The last continuation byte is missing.
    {"\xc2"sv, cut_short},
    {"\xe0\xa0"sv, cut_short},
    {"\xf0\x90\x80"sv, cut_short},
    {"\xdf"sv, cut_short},
    {"\xef\xbf"sv, cut_short},
    {"\xc2\xe0\xa0"sv, 1},
    // Overlong forms of '/' and NUL, and the longest overlong ones.
    {"\xc0\xaf"sv, 0},
    {"\xe0\x80\xaf"sv, 1},
    {"\xf0\x80\x80\xaf"sv, 1},
    {"\xc1\xbf"sv, 0},
    {"\xe0\x9f\xbf"sv, 1},
    {"\xf0\x8f\xbf\xbf"sv, 1},
    {"\xc0\x80"sv, 0},
    {"\xe0\x80\x80"sv, 1},
    {"\xf0\x80\x80\x80"sv, 1},
    // Surrogates, single and paired (CESU-8).
    {"\xed\xa0\x80"sv, 1},
    {"\xed\xaf\xbf"sv, 1},
    {"\xed\xb0\x80"sv, 1},
    {"\xed\xbf\xbf"sv, 1},
    {"\xed\xa0\x80\xed\xb0\x80"sv, 1},
    // Noncharacters are characters to UTF-8.
    {"\xef\xbf\xbe"sv, whole},
    {"\xf0\x9f\xbf\xbe"sv, whole},
    {"\xf4\x8f\xbf\xbe"sv, whole},
    // A bad byte at each end of a word of eight.
    {"1234567\x80"sv, 7},
    {"12345678\x80"sv, 8},
    {"123456789012345\xff"
     "6"sv,
     15},
    {"1234567890123456\xff"sv, 16},
};

// The index of the byte at which feeding byte by byte fails.
std::size_t judge_bytewise(std::string_view text) {
    utf8_checker checker;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (!checker.feed(as_bytes(text.substr(i, 1))))
            return i;
    return checker.complete() ? whole : cut_short;
}

} // namespace

TEST_CASE(
    "text is judged whole and byte by byte, and fails at the first byte that makes it invalid") {
    for (const auto& c : cases) {
        CAPTURE(c.text);
        CHECK(judge_bytewise(c.text) == c.first_bad);
        CHECK(is_utf8(as_bytes(c.text)) == (c.first_bad == whole));
    }
}

TEST_CASE("every cut of a text into two pieces gives the same judgement") {
    for (const auto& c : cases) {
        for (std::size_t cut = 0; cut <= c.text.size(); ++cut) {
            utf8_checker checker;
            const bool first = checker.feed(as_bytes(c.text.substr(0, cut)));
            const bool second = checker.feed(as_bytes(c.text.substr(cut)));
            const bool valid_so_far = c.first_bad == whole || c.first_bad == cut_short;
            CHECK(first == (valid_so_far || cut <= c.first_bad));
            CHECK(second == valid_so_far);
            if (second)
                CHECK(checker.complete() == (c.first_bad == whole));
        }
    }
}

TEST_CASE("every code point passes in its one encoding, surrogates do not") {
    for (std::uint32_t c = 0; c <= 0x110000; ++c) {
        std::string text;
        append_code_point(text, c);
        const bool legal = c < 0xd800 || (c > 0xdfff && c < 0x110000);
        if (is_utf8(as_bytes(text)) != legal)
            FAIL("code point " << c);
    }
}

TEST_CASE("a checker that failed stays failed until it is reset") {
    utf8_checker checker;
    CHECK_FALSE(checker.feed(as_bytes("\xff")));
    CHECK_FALSE(checker.feed(as_bytes("fine")));
    CHECK_FALSE(checker.complete());
    checker.reset();
    CHECK(checker.feed(as_bytes("fine")));
    CHECK(checker.complete());
    static_assert(sizeof(utf8_checker) == 4);
}

TEST_CASE("each longest piece that cannot be UTF-8 is replaced once") {
    const std::pair<std::string_view, std::string_view> table[] = {
        {"plain", "plain"},
        {"\xce\xba", "\xce\xba"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xf0\x90\x80", "\xef\xbf\xbd"},
        {"\xf0\x90\x80x", "\xef\xbf\xbdx"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe1\x80\xe1\x80\x80", "\xef\xbf\xbd\xe1\x80\x80"},
    };
    for (const auto& [text, expected] : table) {
        std::string out = ">";
        append_replacing(out, text);
        CHECK(out.substr(1) == expected);
        CHECK(is_utf8(as_bytes(out)));
    }
}

} // namespace carillon::wire
