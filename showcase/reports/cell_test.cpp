#include <doctest/doctest.h>

#include "reports/cell.hpp"
#include "reports/report.hpp"

using namespace showcase::reports;

TEST_CASE("a cell is read as the first kind whose spelling it has") {
    struct row {
        const char* text;
        const char* kind;
        double number;
    };
    const row table[] = {
        {"", "missing", 0},
        {"  \t", "missing", 0},
        {"NA", "missing", 0},
        {" null ", "missing", 0},
        {"<NA>", "missing", 0},
        {"na", "text", 0},
        {"None", "text", 0},
        {"-", "text", 0},
        {"0", "integer", 0},
        {"-12", "integer", -12},
        {"+7", "integer", 7},
        {" 42 ", "integer", 42},
        {"007", "text", 0},
        {"00", "text", 0},
        {"-01.5", "text", 0},
        {"9223372036854775807", "integer", 9223372036854775807.0},
        {"-9223372036854775808", "integer", -9223372036854775808.0},
        {"9223372036854775808", "number", 9223372036854775808.0},
        {"1.", "number", 1},
        {".5", "number", 0.5},
        {"-0.25", "number", -0.25},
        {"1.2e-00005", "number", 1.2e-5},
        {"6.02e23", "number", 6.02e23},
        {"0.1234567890123456789", "number", 0.1234567890123456789},
        {"1e999", "text", 0},
        {"1e-999", "number", 0},
        {".", "text", 0},
        {"1e", "text", 0},
        {"1.2.3", "text", 0},
        {"1,5", "text", 0},
        {"0x10", "text", 0},
        {"inf", "text", 0},
        {"True", "boolean", 0},
        {"no", "boolean", 0},
        {"y", "text", 0},
        {"1970-01-02", "date", 1},
        {"1969/12/31", "date", -1},
        {"2024-02-29", "date", 19782},
        {"2023-02-29", "text", 0},
        {"2023-02/28", "text", 0},
        {"0000-01-01", "text", 0},
        {"31.12.2023", "text", 0},
        {"1970-01-01T12:00", "datetime", 0.5},
        {"1970-01-01 06:00:00", "datetime", 0.25},
        {"1970-01-01T00:00:00.5Z", "datetime", 0.5 / 86400},
        {"1970-01-01T01:00+01:00", "datetime", 0},
        {"1970-01-01T00:00:00 -0600", "datetime", 0.25},
        {"1970-01-01T24:00", "text", 0},
        {"1970-01-01T00:00:00.", "text", 0},
        {"1970-01-01T00:00+1", "text", 0},
        {"1970-01-01x", "text", 0},
    };
    for (const row& r : table) {
        CAPTURE(r.text);
        const cell c = read_cell(r.text);
        CHECK(name_of(c.kind) == r.kind);
        if (c.kind != cell_kind::text && c.kind != cell_kind::missing)
            CHECK(c.number == r.number);
    }
}

TEST_CASE("a cell longer than what is kept is text, even when it is all digits") {
    CHECK(read_cell(std::string(200, '1')).kind == cell_kind::number);
    CHECK(read_cell(std::string(201, '1')).kind == cell_kind::text);
}

TEST_CASE("dates before and after 1970 are written as they were read") {
    for (const char* text :
         {"0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"}) {
        CAPTURE(text);
        CHECK(format_date(read_cell(text).number) == text);
    }
    for (const char* text :
         {"1969-12-31T23:59:59.250Z", "1970-01-01T00:00:00Z", "2012-06-30T12:34:56.789Z"}) {
        CAPTURE(text);
        CHECK(format_datetime(read_cell(text).number, true) == text);
    }
}
