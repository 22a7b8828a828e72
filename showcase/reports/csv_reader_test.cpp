#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "reports/csv_reader.hpp"
#include "reports/limits.hpp"
#include "reports/sample.hpp"
#include "reports/text_gate.hpp"

using namespace showcase::reports;

namespace {

struct collector : row_handler {
    bool on_row(const csv_row& row) override {
        std::string line = std::to_string(row.line()) + ":";
        for (std::size_t i = 0; i < row.size(); ++i)
            line += "[" + std::string(row[i]) + "]";
        rows.push_back(line + (row.too_long() ? "!" : ""));
        return rows.size() < rows_max;
    }
    std::vector<std::string> rows;
    std::size_t rows_max = SIZE_MAX;
};

std::vector<std::string> rows_of(std::string_view text, std::size_t piece, char delimiter = ',') {
    collector out;
    csv_reader reader(delimiter, out);
    for (std::size_t at = 0; at < text.size(); at += piece)
        reader.feed(text.substr(at, piece));
    if (!reader.finish())
        out.rows.push_back("open quote of line " + std::to_string(reader.quote_line()));
    return out.rows;
}

} // namespace

TEST_CASE("rows are the same however the bytes are cut") {
    struct row {
        std::string_view text;
        std::vector<std::string> rows;
    };
    const row table[] = {
        {"a,b\n1,2\n", {"1:[a][b]", "2:[1][2]"}},
        {"a,b\r\n1,2", {"1:[a][b]", "2:[1][2]"}},
        {"a,b\r1,2\r", {"1:[a][b]", "2:[1][2]"}},
        {"\n\r\n\ra\n\n\nb\n", {"4:[a]", "7:[b]"}},
        {",\n", {"1:[][]"}},
        {"a,", {"1:[a][]"}},
        {"\"\"\n", {"1:[]"}},
        {"\"a,b\",c\n", {"1:[a,b][c]"}},
        {"\"a\"\"b\",\"\"\"\"\n", {"1:[a\"b][\"]"}},
        {"\"x\ny\",z\nw\n", {"1:[x\ny][z]", "3:[w]"}},
        {"\"x\r\ny\rz\n\"\nw\n", {"1:[x\r\ny\rz\n]", "5:[w]"}},
        {"\"x\r\"\"\n\"\nw", {"1:[x\r\"\n]", "4:[w]"}},
        {"a\"b,c\n", {"1:[a\"b][c]"}},
        {"\"a\"b\"c,d\n", {"1:[ab\"c][d]"}},
        {"\"a\" ,b\n", {"1:[a ][b]"}},
        {"a\n\"b\nc", {"1:[a]", "open quote of line 2"}},
        {"a,\"b\"", {"1:[a][b]"}},
        {"", {}},
    };
    for (const row& r : table)
        for (std::size_t piece = 1; piece <= r.text.size() + 1; ++piece) {
            CAPTURE(r.text);
            CAPTURE(piece);
            CHECK(rows_of(r.text, piece) == r.rows);
        }
}

TEST_CASE("a cell or a row beyond its limit is marked, and the next row is whole") {
    const std::string cell(cell_bytes_max, 'x');
    CHECK(rows_of(cell + "y,1\nb\n", 4096).back() == "2:[b]");
    CHECK(rows_of(cell + "y,1\nb\n", 4096).front().ends_with("!"));
    CHECK_FALSE(rows_of(cell + ",1\nb\n", 1 << 20).front().ends_with("!"));

    std::string row;
    for (std::size_t i = 0; i < row_bytes_max / cell_bytes_max + 1; ++i)
        row += cell + ",";
    CHECK(rows_of(row + "\nb\n", 65'536).front().ends_with("!"));
    CHECK(rows_of(row + "\nb\n", 65'536).back() == "2:[b]");

    const std::string commas(columns_max + 1, ',');
    CHECK(rows_of(commas + "\nb\n", 100).front().ends_with("!"));
}

TEST_CASE("a handler that has seen enough gets no further rows") {
    collector out;
    out.rows_max = 2;
    csv_reader reader(',', out);
    reader.feed("a\nb\nc\nd\n");
    CHECK(reader.finish());
    CHECK(out.rows.size() == 2);
}

TEST_CASE("the delimiter is the one that splits rows evenly") {
    struct row {
        std::string_view text;
        char delimiter;
    };
    const row table[] = {
        {"a,b\n1,2\n", ','},
        {"a;b\n1,5;2,5\n", ';'},
        {"a;b;c\n\"1;,,\";2;3\n\"x,y\";2;3\n", ';'},
        {"name\tcity, country\nx\tParis, France\n", '\t'},
        {"a|b,c|d\n1|2|3\n", '|'},
        {"one column\n1\n2\n", ','},
        {"a,b;c\n", ';'},
        {"a;b,c;d\n1;2;3\n", ';'},
        {"when;what\n2020-01-01 10:00;a, b\n2020-01-02 10:00;c\n", ';'},
        {"a,b,c\n1,2\n3,4,5\n", ','},
        {"", ','},
    };
    for (const row& r : table) {
        CAPTURE(r.text);
        CHECK(guess_delimiter(r.text, true) == r.delimiter);
    }
    // The last row of a sample may be cut off and must not count.
    CHECK(guess_delimiter("a;b\n1;2\n1;2,3;,,,", false) == ';');
}

TEST_CASE("known binary formats are named, and texts that begin alike are not") {
    using namespace std::string_view_literals;
    CHECK(describe_binary("PK\x03\x04\x14\x00"sv).find("ZIP") != std::string::npos);
    CHECK(describe_binary("\xFF\xFE"
                          "a\x00"sv)
              .find("UTF-16") != std::string::npos);
    CHECK(describe_binary("%PDF-1.7\n\x01\x02"sv).find("PDF") != std::string::npos);
    CHECK(describe_binary("BZh,name\n1,2\n").empty());
    CHECK(describe_binary("GIF8,name\n1,caf\xC3\xA9\n").empty());
}

TEST_CASE("the gate finds the first byte that is not UTF-8 text, however the bytes are cut") {
    using namespace std::string_view_literals;
    struct row {
        std::string_view text;
        text_fault fault;
        std::size_t good;
    };
    const row table[] = {
        {"plain ascii, longer than a word"sv, text_fault::none, 31},
        {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 and on and on"sv, text_fault::none, 28},
        {"12345678\0"sv, text_fault::nul_byte, 8},
        {"caf\xE9, latin"sv, text_fault::not_utf8, 4},
        {"\x80"sv, text_fault::not_utf8, 0},
        {"a\xC0\xAF"sv, text_fault::not_utf8, 1},
        {"\xE0\x9F\xBF"sv, text_fault::not_utf8, 1},
        {"\xED\xA0\x80"sv, text_fault::not_utf8, 1},
        {"\xF0\x8F\xBF\xBF"sv, text_fault::not_utf8, 1},
        {"\xF4\x90\x80\x80"sv, text_fault::not_utf8, 1},
        {"\xF5"sv, text_fault::not_utf8, 0},
        {"\xF4\x8F\xBF\xBF\xEE\x80\x80\xED\x9F\xBF"sv, text_fault::none, 10},
    };
    for (const row& r : table)
        for (std::size_t piece = 1; piece <= r.text.size(); ++piece) {
            text_gate gate;
            std::size_t good = 0;
            text_fault fault = text_fault::none;
            for (std::size_t at = 0; at < r.text.size() && fault == text_fault::none; at += piece) {
                const auto verdict = gate.feed(r.text.substr(at, piece));
                good += verdict.good_bytes;
                fault = verdict.fault;
            }
            CAPTURE(r.text);
            CAPTURE(piece);
            CHECK(fault == r.fault);
            CHECK(good == r.good);
        }
    text_gate gate;
    CHECK(gate.feed("caf\xC3").fault == text_fault::none);
    CHECK(gate.ended_inside_character());
}
