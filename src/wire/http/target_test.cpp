#include "wire/http/target.hpp"

#include <doctest/doctest.h>

namespace carillon::wire::http {

namespace {

using namespace std::string_literals;

struct origin_case {
    const char* entry;
    std::optional<std::string_view> origin;
    bool allowed;
};

// What Channels' OriginValidator answers for a list of one entry.
const origin_case origins[] = {
    {"example.com", "http://example.com", true},
    {"example.com", "https://example.com:9999", true},
    {"example.com", "http://EXAMPLE.com", true},
    {"example.com", "http://example.com.", false},
    {"example.com", "http://user@example.com", true},
    {"example.com", "chrome-extension://example.com", true},
    {"example.com", "http://sub.example.com", false},
    {"example.com:8000", "http://example.com:8000", false},
    {"localhost:8000", "http://localhost:8000", false},
    {"127.0.0.1:8000", "http://127.0.0.1:9", true},
    {"*.example.com", "http://a.example.com", false},
    {"http://*.example.com", "http://a.example.com", false},
    {"EXAMPLE.com", "http://example.com", true},
    {"HTTP://Example.COM", "http://example.com", true},
    {"http://example.com/", "http://example.com", true},
    {"http://example.com:80", "http://example.com", true},
    {"http://example.com", "http://example.com:80", true},
    {"http://example.com", "http://example.com:8080", false},
    {"http://example.com", "https://example.com", false},
    {"https://example.com", "https://example.com:443", true},
    {"ws://example.com", "http://example.com", false},
    {"chrome-extension://abc", "chrome-extension://abc", true},
    {"chrome-extension://abc:1", "chrome-extension://abc", false},
    {".example.com", "http://example.com", true},
    {".example.com", "https://a.b.example.com:444", true},
    {".example.com", "http://badexample.com", false},
    {"http://.example.com", "http://a.example.com", true},
    {"http://.example.com", "https://a.example.com", false},
    {"http://.example.com:8080", "http://a.example.com:8080", true},
    {"example.com", "null", false},
    {"*", "null", true},
    {"null", "null", false},
    {"[::1]", "http://[::1]:5", true},
    {"http://[::1]", "http://[::1]:80", true},
    {"http://[::1]", "http://[::1]:81", false},
    {"", "http://example.com", false},
    {"example.com", std::nullopt, false},
    {"*", std::nullopt, true},
};

} // namespace

TEST_CASE("percent escapes are decoded, and malformed ones refused") {
    CHECK(percent_decode("a%20b+c%2F") == "a b+c/");
    CHECK(percent_decode("%c3%A9") == "\xc3\xa9");
    CHECK(percent_decode("") == "");
    for (const char* text : {"%", "%2", "%2g", "%zz", "a%", "%00", "%ff", "%c3", "%ed%a0%80"}) {
        CAPTURE(text);
        CHECK_FALSE(percent_decode(text));
    }
    CHECK(percent_encode("a b/\xc3\xa9~-._Z9") == "a%20b%2F%C3%A9~-._Z9");
}

TEST_CASE("a target is split into path and query") {
    auto t = split_target("/a%3Fb/c?x=1&y=%41?z");
    REQUIRE(t);
    CHECK(t->path == "/a?b/c");
    CHECK(t->query == "x=1&y=%41?z");
    CHECK(split_target("/")->path == "/");
    CHECK(split_target("/?")->query.empty());
    CHECK_FALSE(split_target("*"));
    CHECK_FALSE(split_target(""));
    CHECK_FALSE(split_target("a/b"));
    CHECK_FALSE(split_target("/%zz"));
    CHECK(split_target("/x?%zz")->query == "%zz");
}

TEST_CASE("forms are read in order, forgiving what is malformed") {
    CHECK(parse_form("a=1&b=two+words&a=%31&empty=&alone&=x&&c=%zz%4&d=%e9") ==
          name_values{{"a", "1"},
                      {"b", "two words"},
                      {"a", "1"},
                      {"empty", ""},
                      {"alone", ""},
                      {"", "x"},
                      {"c", "%zz%4"},
                      {"d", "\xef\xbf\xbd"}});
    CHECK(parse_form("").empty());
    CHECK(parse_form("a=b=c") == name_values{{"a", "b=c"}});
    CHECK(parse_form("a&b&c&d", 2) == name_values{{"a", ""}, {"b", ""}});
}

TEST_CASE("cookies are read as Django reads them") {
    CHECK(parse_cookies("sessionid=abc; csrftoken=x=y ;  lang = de") ==
          name_values{{"sessionid", "abc"}, {"csrftoken", "x=y"}, {"lang", "de"}});
    CHECK(parse_cookies("a=1; a=2") == name_values{{"a", "2"}});
    CHECK(parse_cookies("unnamed; =also; ;;") == name_values{{"", "also"}});
    CHECK(parse_cookies("").empty());
    CHECK(parse_cookies(R"(a="1, \"2\" \\ \054 \351")") ==
          name_values{{"a", "1, \"2\" \\ , \xc3\xa9"}});
    CHECK(parse_cookies(R"(a="; b="x)") == name_values{{"a", "\""}, {"b", "\"x"}});
    CHECK(parse_cookies(R"(a="\9\05")") == name_values{{"a", "905"}});
    CHECK(parse_cookies("a=caf\xc3\xa9") == name_values{{"a", "caf\xc3\xa9"}});
}

TEST_CASE("gzip is accepted where its quality is above zero") {
    CHECK(accepts_gzip("gzip"));
    CHECK(accepts_gzip("deflate, GZIP;q=0.5, br"));
    CHECK(accepts_gzip("*"));
    CHECK(accepts_gzip("br;q=1.0, gzip; q=0.001"));
    CHECK_FALSE(accepts_gzip(""));
    CHECK_FALSE(accepts_gzip("identity"));
    CHECK_FALSE(accepts_gzip("gzip;q=0"));
    CHECK_FALSE(accepts_gzip("gzip;q=0.000, *"));
    CHECK_FALSE(accepts_gzip("*;q=0"));
    CHECK_FALSE(accepts_gzip("gzip;q=high"));
    CHECK_FALSE(accepts_gzip("gzipped"));
}

TEST_CASE("one range is served, others are passed over, and what lies outside is unsatisfiable") {
    byte_range r;
    auto served = [&](std::string_view text, std::uint64_t size, std::uint64_t first,
                      std::uint64_t last) {
        return parse_range(text, size, r) == range_kind::one && r.first == first && r.last == last;
    };
    CHECK(served("bytes=0-499", 1000, 0, 499));
    CHECK(served("bytes=500-", 1000, 500, 999));
    CHECK(served("bytes=-200", 1000, 800, 999));
    CHECK(served("bytes=-2000", 1000, 0, 999));
    CHECK(served("bytes=999-5000", 1000, 999, 999));
    CHECK(served("Bytes=0-0", 1, 0, 0));
    CHECK(served("bytes=1-99999999999999999999999", 1000, 1, 999));
    for (const char* text : {"bytes=1000-", "bytes=-0", "bytes=99999999999999999999-"})
        CHECK(parse_range(text, 1000, r) == range_kind::unsatisfiable);
    CHECK(parse_range("bytes=0-", 0, r) == range_kind::unsatisfiable);
    CHECK(parse_range("bytes=-1", 0, r) == range_kind::unsatisfiable);
    for (const char* text : {"", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=5-4", "bytes=a-b",
                             "items=0-1", "bytes=0-1,3-4", "bytes=0--1", "bytes=+1-2"})
        CHECK(parse_range(text, 1000, r) == range_kind::none);
}

TEST_CASE("entity tags are compared weakly") {
    CHECK(etag_matches("\"a\"", "\"a\""));
    CHECK(etag_matches("W/\"a\"", "\"a\""));
    CHECK(etag_matches("\"x\", \"a,b\", \"a\"", "W/\"a\""));
    CHECK(etag_matches("*", "\"a\""));
    CHECK_FALSE(etag_matches("", "\"a\""));
    CHECK_FALSE(etag_matches("\"a,b\"", "\"a\""));
    CHECK_FALSE(etag_matches("\"a", "\"a\""));
    CHECK_FALSE(etag_matches("a", "\"a\""));
}

TEST_CASE("a host and its port are read, malformed ones refused") {
    auto is = [](std::string_view text, std::string_view host, int port) {
        const auto found = parse_host(text);
        return found && found->host == host && found->port == port;
    };
    CHECK(is("Example.COM", "example.com", 0));
    CHECK(is("example.com:8000", "example.com", 8000));
    CHECK(is("example.com:", "example.com", 0));
    CHECK(is("127.0.0.1:80", "127.0.0.1", 80));
    CHECK(is("[::1]", "[::1]", 0));
    CHECK(is("[FE80::1]:443", "[fe80::1]", 443));
    CHECK(is("my_service", "my_service", 0));
    for (const char* text : {"", ":80", "a:b", "a:65536", "a:123456", "a b", "a/b", "u@a", "[::1",
                             "[]", "[abc]", "[::1]x", "::1", "a:1:2", "a\xc3\xa9", "a,b", "a%20"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_host(text));
    }
}

TEST_CASE("hosts are allowed as Django's ALLOWED_HOSTS says") {
    CHECK(host_allowed("example.com", {"example.com"}));
    CHECK(host_allowed("example.com", {"other", "EXAMPLE.com"}));
    CHECK(host_allowed("example.com.", {"example.com"}));
    CHECK(host_allowed("a.example.com", {".example.com"}));
    CHECK(host_allowed("example.com", {".example.com"}));
    CHECK(host_allowed("anything", {"*"}));
    CHECK(host_allowed("[::1]", {"[::1]"}));
    CHECK_FALSE(host_allowed("example.com", {}));
    CHECK_FALSE(host_allowed("", {""}));
    CHECK_FALSE(host_allowed("a.example.com", {"example.com"}));
    CHECK_FALSE(host_allowed("badexample.com", {".example.com"}));
    CHECK_FALSE(host_allowed("com", {".example.com"}));
}

TEST_CASE("origins are allowed as Channels' OriginValidator allows them") {
    for (const auto& c : origins) {
        CAPTURE(c.entry);
        CAPTURE(c.origin.value_or("(absent)"));
        CHECK(origin_allowed(c.origin, {c.entry}) == c.allowed);
    }
    CHECK(origin_allowed("http://b", {"a", "b"}));
    CHECK_FALSE(origin_allowed("http://b:port", {"b"}));
    CHECK_FALSE(origin_allowed("", {"a"}));
    CHECK_FALSE(origin_allowed("http://a", {}));
}

} // namespace carillon::wire::http
