#include <doctest/doctest.h>

#include <map>
#include <string>

#include "reports/csv_profiler.hpp"
#include "reports/limits.hpp"

using namespace showcase::reports;
using carillon::value;

namespace {

carillon::result<csv_report> report_of(std::string_view text, std::size_t piece = 65'536) {
    csv_profiler profiler("file.csv");
    for (std::size_t at = 0; at < text.size(); at += piece)
        if (auto fed = profiler.feed(carillon::as_bytes(text.substr(at, piece))); !fed)
            return fed.error();
    return profiler.finish();
}

std::string message_of(std::string_view text, std::size_t piece = 65'536) {
    const auto report = report_of(text, piece);
    return report ? "no failure" : report.error().message;
}

// Columns of so many different values that estimates are at work.
std::string many_rows(std::size_t rows) {
    std::string out = "id,text,late\n";
    for (std::size_t i = 0; i < rows; ++i)
        out += std::to_string(i) + ",word " + std::to_string(i % 7 == 0 ? 0 : i) + "," +
               (i + 1 == rows ? "x" : std::to_string(i)) + "\n";
    return out;
}

} // namespace

TEST_CASE("the report is the same however the bytes are cut") {
    using namespace std::string_view_literals;
    const std::string_view files[] = {
        "a,b\r\n1,\"x\r\ny\"\r\n2,\"\"\"\"\r\n3\r\n"sv,
        "\xEF\xBB\xBFname;n\ncaf\xC3\xA9;1,5\n\"a;b\";2\n"sv,
        "a\tb\n2020-01-01\ttrue\n2021-01-01T10:00:00Z\tno\n"sv,
    };
    for (const std::string_view text : files) {
        const auto whole = report_of(text);
        REQUIRE(whole);
        for (std::size_t piece = 1; piece < text.size(); ++piece) {
            CAPTURE(piece);
            const auto cut = report_of(text, piece);
            REQUIRE(cut);
            CHECK(to_value(*cut) == to_value(*whole));
        }
    }
    const std::string_view broken[] = {"a,b\n1,\0\n"sv, "a,b\n1,caf\xE9\n"sv, "a,b\n1,\"open\n"sv,
                                       "a\n\xC3"sv, "a,b\n1\n"sv};
    for (const std::string_view text : broken)
        for (std::size_t piece = 1; piece <= text.size(); ++piece) {
            CAPTURE(piece);
            CHECK(message_of(text, piece) == message_of(text));
        }
}

TEST_CASE("a long file that is cut into pieces gives the same estimates") {
    const std::string text = many_rows(30'000);
    const auto whole = report_of(text, text.size());
    REQUIRE(whole);
    for (const std::size_t piece : {1u, 977u, 65'536u, 65'537u}) {
        CAPTURE(piece);
        const auto cut = report_of(text, piece);
        REQUIRE(cut);
        CHECK(to_value(*cut) == to_value(*whole));
    }
}

TEST_CASE("files that are no usable CSV fail with a sentence that names the line") {
    using namespace std::string_view_literals;
    struct row {
        std::string_view text;
        const char* message;
    };
    const row table[] = {
        {"", "Line 1: the file is empty."},
        {"\xEF\xBB\xBF"sv, "only empty lines"},
        {"\n\n\n", "only empty lines"},
        {"a,b\n1,2\n3,\0\n"sv, "Line 3: there are bytes that no text holds"},
        {"a,b\n1,caf\xE9\nx,\0"sv, "Line 2: there are bytes that no text holds"},
        {"a,b\n1,2\n3,caf\xE9\n"sv, "Line 3: the text is not valid UTF-8"},
        {"a,\"x\ny\"\n1,\xC3"sv, "Line 3: the file ends inside"},
        {"a,b\n1,\"x\ny\n", "Line 2: the quoted cell that begins here is not closed"},
        {"a,b\n1\n2\n", "Line 2: 1 cell, the header has 2; no row of the file is usable."},
        {"\xFF\xFE"
         "a\0"sv,
         "UTF-16"},
    };
    for (const row& r : table) {
        CAPTURE(r.message);
        CAPTURE(message_of(r.text));
        CHECK(message_of(r.text).find(r.message) != std::string::npos);
    }
    CHECK(message_of(std::string(columns_max, ',') + "\n").find("2048 columns") !=
          std::string::npos);
}

TEST_CASE("a failure stays, and more bytes do not change it") {
    csv_profiler profiler("x");
    const std::string bad = "a\n" + std::string(sample_bytes_max, 'x') + "\xFF";
    CHECK_FALSE(profiler.feed(carillon::as_bytes(bad)));
    const auto again = profiler.feed(carillon::as_bytes("good\n"));
    REQUIRE_FALSE(again);
    const auto end = profiler.finish();
    REQUIRE_FALSE(end);
    CHECK(end.error().message == again.error().message);
    CHECK(end.error().code == carillon::errc::invalid);
}

TEST_CASE("rows of another width are counted and left out") {
    const auto report = report_of("a,b\n1,2\n3\n4,5,6\n\"x\n\",8\n9\n");
    REQUIRE(report);
    CHECK(report->rows == 2);
    CHECK(report->bad_rows == 3);
    CHECK(report->first_bad_line == 3);
    CHECK(report->columns[0].count == 2);
    const value json = to_value(*report);
    CHECK(json["first_bad_row"]["line"].to_int() == 3);
    CHECK(json["first_bad_row"]["reason"].to_text() == "1 cell, the header has 2");
}

TEST_CASE("a header alone gives columns without values") {
    const auto report = report_of("a,b\n");
    REQUIRE(report);
    CHECK(report->rows == 0);
    REQUIRE(report->columns.size() == 2);
    CHECK(report->columns[1].type == cell_kind::text);
    CHECK(report->columns[1].min.is_null());
}

TEST_CASE("every column gets a name of its own") {
    const auto report = report_of("a,, a ,a_2,,\"x\ny\"\n1,2,3,4,5,6\n");
    REQUIRE(report);
    std::string names;
    for (const auto& c : report->columns)
        names += c.name + "|";
    CHECK(names == "a|column_2|a_2|a_2_2|column_5|x\ny|");
}

TEST_CASE("a text that comes late among many numbers makes a text column and loses no count") {
    const auto report = report_of(many_rows(30'000));
    REQUIRE(report);
    const auto& id = report->columns[0];
    CHECK(id.type == cell_kind::integer);
    CHECK(id.max.to_int() == 29'999);
    CHECK_FALSE(id.distinct_is_exact);
    CHECK_FALSE(id.median_is_exact);
    const auto& words = report->columns[1];
    CHECK(words.type == cell_kind::text);
    REQUIRE(words.top.size() == 1);
    CHECK(words.top[0].value == "word 0");
    CHECK(words.top[0].count <= 4286);
    CHECK(words.top[0].count + words.top_error >= 4286);
    const auto& late = report->columns[2];
    CHECK(late.type == cell_kind::text);
    CHECK(late.count == 30'000);
    CHECK(late.min.to_text() == "0");
    CHECK(late.max.to_text() == "x");
    CHECK(late.mean.is_null());
}

TEST_CASE("long texts are cut at a character and told apart by what follows") {
    const std::string base(199, 'x');
    const auto report = report_of("t\n" + base +
                                  "\xC3\xA9"
                                  "1\n" +
                                  base +
                                  "\xC3\xA9"
                                  "2\n");
    REQUIRE(report);
    CHECK(report->columns[0].distinct == 2);
    CHECK(report->columns[0].top[0].value == base + "\xE2\x80\xA6");
}

TEST_CASE("a quoted cell larger than its limit costs its row, not memory") {
    csv_profiler profiler("x");
    const std::string block(1 << 20, 'x');
    CHECK(profiler.feed(carillon::as_bytes("a,b\n1,\"")));
    for (int i = 0; i < 64; ++i)
        CHECK(profiler.feed(carillon::as_bytes(block)));
    CHECK(profiler.feed(carillon::as_bytes("\"\n2,3\n")));
    const auto report = profiler.finish();
    REQUIRE(report);
    CHECK(report->rows == 1);
    CHECK(report->bad_rows == 1);
    CHECK(report->first_bad_reason.find("too long") != std::string::npos);
}

TEST_CASE("the page escapes what the file holds and loads nothing") {
    const auto report =
        report_of("<script>alert(1)</script>,n\n\"<img src=x onerror='a'>\",1\n{{n}},2\n");
    REQUIRE(report);
    csv_report named = *report;
    named.filename = "\"><b>.csv";
    const std::string page = to_html(named);
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("<img") == std::string::npos);
    CHECK(page.find("\"><b>") == std::string::npos);
    CHECK(page.find("&lt;img src=x onerror=") != std::string::npos);
    CHECK(page.find("{{n}}") != std::string::npos);
    CHECK(page.find("http") == std::string::npos);
    CHECK(page.find("<svg class=\"chart\"") != std::string::npos);
}
