#include "wire/http/response.hpp"

#include <doctest/doctest.h>

namespace carillon::wire::http {

TEST_CASE("a head is written line by line") {
    response_head head;
    head.status = 404;
    head.headers = {{"Content-Type", "text/plain"}, {"X-Id", "7"}};
    head.content_length = 9;
    CHECK(write_head(head, "Sun, 06 Nov 1994 08:49:37 GMT") ==
          "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: "
          "text/plain\r\nX-Id: 7\r\n"
          "Content-Length: 9\r\n\r\n");
}

TEST_CASE("a head without length and without keeping the connection") {
    response_head head;
    head.status = 204;
    head.keep_alive = false;
    CHECK(write_head(head, "") == "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
}

TEST_CASE("a header that would break the head never reaches the wire") {
    response_head head;
    head.headers = {{"X-A", "a\r\nSet-Cookie: stolen=1"},
                    {"X-B", std::string("b\0c", 3)},
                    {"X-C", "c\n"},
                    {"X\r\nY", "d"},
                    {"X Y", "e"},
                    {"", "f"},
                    {"X-Good", "caf\xc3\xa9"}};
    CHECK(write_head(head, "") == "HTTP/1.1 200 OK\r\nX-Good: caf\xc3\xa9\r\n\r\n");
}

TEST_CASE("a status without a registered phrase has one") {
    CHECK(reason_phrase(101) == "Switching Protocols");
    CHECK(reason_phrase(299) == "Unknown");
    CHECK(reason_phrase(-1) == "Unknown");
}

TEST_CASE("dates are written as IMF-fixdate") {
    CHECK(http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(http_date(951782399) == "Mon, 28 Feb 2000 23:59:59 GMT");
    CHECK(http_date(951782400) == "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST_CASE("dates are read in the three forms of RFC 9110, and in no other") {
    CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
    CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
    CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777);
    CHECK(parse_http_date("Tuesday, 29-Feb-00 00:00:00 GMT") == 951782400);
    for (const char* text :
         {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
          "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 24:00:00 GMT", "784111777", "Sun Nov  6 08: 9:37 1994",
          "Sun Nov  6 x8:49:37 1994", "Sun, 06 Nov x994 08:49:37 GMT",
          "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 nov 1994 08:49:37 GMT"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_http_date(text));
    }
}

} // namespace carillon::wire::http
