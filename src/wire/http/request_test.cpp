#include "wire/http/request.hpp"

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace carillon::wire::http {

namespace {

using namespace std::string_literals;
using what = request_parser::what;

// What one connection's bytes come to: each whole request in one line, then the refusal's status.
struct outcome {
    std::vector<std::string> requests; // "METHOD target body"
    int refused_status = 0;
    bool idle = false;
    friend bool operator==(const outcome&, const outcome&) = default;
    friend std::ostream& operator<<(std::ostream& out, const outcome& o) {
        for (const auto& r : o.requests)
            out << "[" << r << "] ";
        return out << o.refused_status << (o.idle ? " idle" : "");
    }
};

constexpr request_parser::limits small_limits{512, 10, 64};

outcome read_in_pieces(const std::string& stream, const std::vector<std::size_t>& cuts,
                       request_parser::limits limits = small_limits) {
    request_parser parser(limits);
    outcome out;
    std::string current;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const auto end = i < cuts.size() ? cuts[i] : stream.size();
        const bytes memory(as_bytes(stream).begin() + static_cast<std::ptrdiff_t>(begin),
                           as_bytes(stream).begin() + static_cast<std::ptrdiff_t>(end));
        begin = end;
        bytes_view input(memory);
        for (bool more = false; !more;) {
            const auto e = parser.next(input);
            switch (e.kind) {
            case what::need_more:
                CHECK(input.empty());
                more = true;
                break;
            case what::head:
                current = parser.head().method + " " + parser.head().target + " ";
                break;
            case what::body: current += as_text(e.body); break;
            case what::end:
                out.requests.push_back(std::exchange(current, {}));
                parser.restart();
                break;
            case what::refused:
                CHECK_FALSE(std::string_view(e.why).empty());
                out.refused_status = e.status;
                return out;
            }
        }
    }
    out.idle = parser.idle();
    return out;
}

void check_all_cuts(const std::string& stream, const outcome& expected) {
    CAPTURE(stream);
    CHECK(read_in_pieces(stream, {}) == expected);
    std::vector<std::size_t> every;
    for (std::size_t i = 1; i < stream.size(); ++i)
        every.push_back(i);
    CHECK(read_in_pieces(stream, every) == expected);
    for (std::size_t cut = 1; cut < stream.size(); ++cut)
        CHECK(read_in_pieces(stream, {cut}) == expected);
}

std::string get(const std::string& lines) {
    return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
}
std::string post(const std::string& lines, const std::string& body) {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n" + body;
}
std::string chunked(const std::string& body) {
    return post("Transfer-Encoding: chunked\r\n", body);
}

struct sound_case {
    const char* name;
    std::string stream;
    std::vector<std::string> requests;
};

const std::vector<sound_case> sound = {
    {"a request without body", get(""), {"GET / "}},
    {"two in one read",
     get("") + "HEAD /x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n",
     {"GET / ", "HEAD /x?y=1 "}},
    {"HTTP/1.0 without Host", "GET /old HTTP/1.0\r\n\r\n", {"GET /old "}},
    {"an empty line before the request", "\r\n" + get("") + "\r\n" + get(""), {"GET / ", "GET / "}},
    {"a body of known length",
     post("Content-Length: 5\r\n", "hello") + get(""),
     {"POST / hello", "GET / "}},
    {"a body of length zero", post("Content-Length: 0\r\n", "") + get(""), {"POST / ", "GET / "}},
    {"leading zeros in the length", post("Content-Length: 005\r\n", "hello"), {"POST / hello"}},
    {"a body at the limit",
     post("Content-Length: 64\r\n", std::string(64, 'b')),
     {"POST / " + std::string(64, 'b')}},
    {"chunks",
     chunked("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n") + get(""),
     {"POST / hello, world", "GET / "}},
    {"chunk sizes in hexadecimal of either case",
     chunked("0A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n"),
     {"POST / 01234567890123456789"}},
    {"chunk extensions",
     chunked("5;a=b\r\nhello\r\n1 ; x=\"q\"\r\n!\r\n0;end\r\n\r\n"),
     {"POST / hello!"}},
    {"trailers are read over",
     chunked("1\r\nx\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n") + get(""),
     {"POST / x", "GET / "}},
    {"Transfer-Encoding in any case",
     post("transfer-encoding: CHUNKED\r\n", "0\r\n\r\n"),
     {"POST / "}},
    {"any method that is a token", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", {"BREW /pot "}},
    {"a method of 300 bytes",
     std::string(300, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n",
     {std::string(300, 'M') + " / "}},
    {"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {"OPTIONS * "}},
    {"an absolute target", "GET http://example.com/a?b HTTP/1.1\r\nHost: a\r\n\r\n", {"GET /a?b "}},
    {"an absolute target without a path",
     "GET https://example.com?b HTTP/1.1\r\nHost: a\r\n\r\n",
     {"GET /?b "}},
    {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", {"GET / "}},
    {"an empty header value, and spaces around values",
     get("X-Empty:\r\nX-Wide: \t wide \t\r\n"),
     {"GET / "}},
    {"bytes above 7F in a value", get("X-Name: \xc3\xa9\r\n"), {"GET / "}},
};

struct hostile_case {
    const char* name;
    std::string stream;
    int status;
};

const std::vector<hostile_case> hostile = {
    // What two parsers may frame differently.
    {"Content-Length and Transfer-Encoding",
     post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
    {"Transfer-Encoding and Content-Length",
     post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400},
    {"a second coding after chunked", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
     400},
    {"chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
    {"chunked in two headers",
     post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
    {"identity alone", post("Transfer-Encoding: identity\r\n", ""), 400},
    {"a coding that is not implemented", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
     501},
    {"chunked in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400},
    {"chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), 400},
    {"chunked after a vertical tab",
     post("Transfer-Encoding: \x0b"
          "chunked\r\n",
          "0\r\n\r\n"),
     400},
    {"an empty Transfer-Encoding", post("Transfer-Encoding:\r\n", ""), 400},
    {"Transfer-Encoding in HTTP/1.0",
     "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"differing Content-Lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400},
    {"equal Content-Lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400},
    {"a list of Content-Lengths", post("Content-Length: 5, 5\r\n", "hello"), 400},
    {"Content-Length with a plus", post("Content-Length: +5\r\n", "hello"), 400},
    {"Content-Length with a minus", post("Content-Length: -5\r\n", "hello"), 400},
    {"Content-Length with a space inside", post("Content-Length: 1 1\r\n", "hello"), 400},
    {"Content-Length in hexadecimal", post("Content-Length: 0x5\r\n", "hello"), 400},
    {"an empty Content-Length", post("Content-Length:\r\n", ""), 400},
    {"Content-Length beyond 64 bits", post("Content-Length: 18446744073709551621\r\n", "hello"),
     400},
    {"a space before a colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400},
    {"a tab before a colon", get("X\t: 1\r\n"), 400},
    {"a folded header", get("X-Long: a\r\n b\r\n"), 400},
    {"a folded first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"a header without a colon", get("just words\r\n"), 400},
    {"a header without a name", get(": value\r\n"), 400},
    {"a header name with a slash", get("X/Y: 1\r\n"), 400},
    {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"bare LF after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
    {"bare LF inside a value", get("X: a\nTransfer-Encoding: chunked\r\n"), 400},
    {"bare CR inside a value", get("X: a\rb\r\n"), 400},
    {"bare CR at the end", "GET / HTTP/1.1\r\nHost: a\r\n\rX", 400},
    {"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400},
    {"NUL in a value", get("X: a\0b\r\n"s), 400},
    {"NUL in a name", get("X\0Y: a\r\n"s), 400},
    {"NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s, 400},
    {"DEL in a value",
     get("X: a\x7f"
         "b\r\n"),
     400},
    // Host.
    {"two Hosts", get("Host: b\r\n"), 400},
    {"two equal Hosts", get("Host: a\r\n"), 400},
    {"no Host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", 400},
    {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"a Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"a Host with a port that is no number", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400},
    // The request line.
    {"HTTP/0.9", "GET /\r\n", 400},
    {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
    {"HTTP/3.0", "GET / HTTP/3.0\r\n", 505},
    {"another protocol", "GET / HTTQ/1.1\r\n", 400},
    {"a version in small letters", "GET / http/1.1\r\n", 400},
    {"a version too long", "GET / HTTP/1.10\r\n", 400},
    {"four words", "GET / / HTTP/1.1\r\n", 400},
    {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a tab between the words", "GET\t/ HTTP/1.1\r\n", 400},
    {"a leading space", " GET / HTTP/1.1\r\n", 400},
    {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a method that is no token", "G@T / HTTP/1.1\r\n", 400},
    {"a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00"s, 400},
    {"a method of 1 KB", std::string(1024, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n", 431},
    {"a target above the limit", "GET /" + std::string(600, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n",
     431},
    {"raw UTF-8 in the target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a relative target", "GET index.html HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"* with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"an authority as the target", "GET example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"an absolute target of another scheme", "GET ftp://example.com/ HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"an absolute target with a user", "GET http://u:p@example.com/ HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"an absolute target without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    // Limits.
    {"too many headers",
     get("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: 9\r\nJ: 10\r\n"), 431},
    {"a head too large", get("X: " + std::string(600, 'x') + "\r\n"), 431},
    {"an endless header", "GET / HTTP/1.1\r\nX: " + std::string(600, 'x'), 431},
    {"a body above the limit", post("Content-Length: 65\r\n", ""), 413},
    {"chunks above the limit together", chunked("20\r\n" + std::string(32, 'x') + "\r\n21\r\n"),
     413},
    {"a chunk above the limit", chunked("41\r\n"), 413},
    {"an unknown expectation", post("Expect: 200-ok\r\nContent-Length: 1\r\n", "x"), 417},
    // Chunks.
    {"a huge chunk", chunked("7fffffffffffff\r\n"), 413},
    {"a chunk size beyond 64 bits", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
    {"a chunk size of many zeros", chunked("00000000000000000000005\r\n"), 400},
    {"a chunk size with a sign", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400},
    {"a chunk size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400},
    {"an empty chunk size", chunked("\r\nhello\r\n0\r\n\r\n"), 400},
    {"a chunk size with a space before it", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400},
    {"a chunk size with a space after it", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400},
    {"bare LF after a chunk size", chunked("5\nhello\r\n0\r\n\r\n"), 400},
    {"bare LF in a chunk extension", chunked("5;a\nhello\r\n0\r\n\r\n"), 400},
    {"bare CR in a chunk extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400},
    {"bare LF after a chunk", chunked("5\r\nhello\n0\r\n\r\n"), 400},
    {"a chunk longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n"), 400},
    {"endless chunk extensions", chunked("5;" + std::string(5000, 'e')), 400},
    {"bare LF at the end of the trailers", chunked("0\r\n\n"), 400},
    {"a trailer that is no header", chunked("0\r\nGET / HTTP/1.1\r\n\r\n"), 400},
    {"too many trailers",
     chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: 9\r\nJ: "
             "0\r\nK: 1\r\n\r\n"),
     431},
    {"trailers too large", chunked("0\r\nX: " + std::string(600, 'x')), 431},
};

request_head head_of(const std::string& stream) {
    request_parser parser({});
    bytes_view input = as_bytes(stream);
    REQUIRE(parser.next(input).kind == what::head);
    return parser.take_head();
}

} // namespace

TEST_CASE("sound requests are read, however they are cut") {
    for (const auto& c : sound) {
        CAPTURE(c.name);
        check_all_cuts(c.stream, {c.requests, 0, true});
    }
}

TEST_CASE("hostile requests are refused with their status, however they are cut") {
    for (const auto& c : hostile) {
        CAPTURE(c.name);
        check_all_cuts(c.stream, {{}, c.status, false});
    }
}

TEST_CASE("a request that is cut is not idle, and an empty line is nothing yet") {
    CHECK_FALSE(read_in_pieces("G", {}).idle);
    CHECK_FALSE(read_in_pieces(post("Content-Length: 5\r\n", "hell"), {}).idle);
    CHECK(read_in_pieces("\r\n", {}).idle);
    CHECK(read_in_pieces("", {}).idle);
}

TEST_CASE("a head holds what was sent") {
    const auto head =
        head_of("POST /a%20b?c=d HTTP/1.1\r\nHost: Example.com:8080\r\nX-Two: 1\r\nx-two:  2 \r\n"
                "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    CHECK(head.method == "POST");
    CHECK(head.target == "/a%20b?c=d");
    CHECK(head.version_minor == 1);
    CHECK(head.find("host") == "Example.com:8080");
    CHECK(head.find("X-TWO") == "1");
    CHECK(head.joined("X-Two") == "1, 2");
    CHECK(head.find("absent").empty());
    CHECK_FALSE(head.has("absent"));
    CHECK(head.headers.size() == 5);
    CHECK(head.headers[2].name == "x-two");
    CHECK(head.content_length == 3);
    CHECK(head.expects_continue);
    CHECK_FALSE(head.chunked);
}

TEST_CASE("the authority of an absolute target replaces what Host says") {
    const auto head =
        head_of("GET http://right.example:81/x HTTP/1.1\r\nHost: wrong.example\r\n\r\n");
    CHECK(head.find("Host") == "right.example:81");
    CHECK(head.target == "/x");
}

TEST_CASE("a connection is kept as version and Connection say") {
    CHECK(head_of(get("")).keep_alive);
    CHECK_FALSE(head_of(get("Connection: close\r\n")).keep_alive);
    CHECK_FALSE(head_of(get("Connection: Keep-Alive, Close\r\n")).keep_alive);
    CHECK_FALSE(head_of("GET / HTTP/1.0\r\n\r\n").keep_alive);
    CHECK(head_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
    CHECK_FALSE(head_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n")
                    .keep_alive);
}

TEST_CASE("the limit on the body may be set when the head is known") {
    for (const std::string framing :
         {"Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"}) {
        request_parser parser({});
        const auto stream = post(framing, "64\r\n" + std::string(100, 'x'));
        bytes_view input = as_bytes(stream);
        CHECK(parser.next(input).kind == what::head);
        parser.limit_body(99);
        const auto e = parser.next(input);
        CHECK(e.kind == what::refused);
        CHECK(e.status == 413);
    }
}

TEST_CASE("a body is framed although its head was taken away") {
    request_parser parser({});
    const auto stream = post("Content-Length: 5\r\n", "hello");
    bytes_view input = as_bytes(stream);
    CHECK(parser.next(input).kind == what::head);
    CHECK(parser.take_head().method == "POST");
    CHECK(as_text(parser.next(input).body) == "hello");
    CHECK(parser.next(input).kind == what::end);
}

TEST_CASE("what follows a refusal is discarded") {
    request_parser parser({});
    const auto stream = "GET /\r\n" + get("");
    bytes_view input = as_bytes(stream);
    CHECK(parser.next(input).status == 400);
    CHECK_FALSE(input.empty());
    CHECK(parser.next(input).kind == what::need_more);
    CHECK(input.empty());
    CHECK_FALSE(parser.idle());
}

TEST_CASE("a limit changed for one request does not hold for the next") {
    request_parser parser(small_limits);
    const auto stream =
        post("Content-Length: 65\r\n", std::string(65, 'x')) + post("Content-Length: 65\r\n", "");
    bytes_view input = as_bytes(stream);
    CHECK(parser.next(input).kind == what::head);
    parser.limit_body(0);
    CHECK(parser.next(input).kind == what::body);
    CHECK(parser.next(input).kind == what::end);
    parser.restart();
    CHECK(parser.next(input).kind == what::head);
    CHECK(parser.next(input).status == 413);
}

} // namespace carillon::wire::http
