#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "web/pattern.hpp"
#include "wire/http/target.hpp"

using namespace carillon;
using web::pattern;

namespace {

// What a pattern captures of a path as it stands on the request line: "name=value" joined by '&', or nothing.
std::optional<std::string> captured(const url_pattern& source, const std::string& request_path) {
    const auto target = wire::http::split_target(request_path);
    if (!target)
        return {};
    const auto found = pattern(source).match(target->path);
    if (!found)
        return {};
    std::string text;
    for (const auto& [name, content] : *found)
        text += (text.empty() ? "" : "&") + name + "=" + content;
    return text;
}

} // namespace

TEST_CASE("paths match as in Channels' URLRouter") {
    struct {
        url_pattern source;
        const char* path;
        std::optional<std::string> expected;
    } const table[] = {
        {"/echo", "/echo", ""},
        {"/p/int/<int:v>", "/p/int/42", "v=42"},
        {"/p/int/<int:v>", "/p/int/007", "v=007"},
        {"/p/int/<int:v>", "/p/int/-1", {}},
        {"/p/int/<int:v>", "/p/int/1/", {}},
        {"/p/str/<str:v>", "/p/str/a%20b", "v=a b"},
        {"/p/str/<str:v>", "/p/str/%C3%A9", "v=\xc3\xa9"},
        {"/p/str/<v>", "/p/str/x", "v=x"},
        {"/p/slug/<slug:v>", "/p/slug/a-b_9", "v=a-b_9"},
        {"/p/slug/<slug:v>", "/p/slug/a.b", {}},
        {"/p/uuid/<uuid:v>", "/p/uuid/01234567-89ab-cdef-0123-456789abcdef",
         "v=01234567-89ab-cdef-0123-456789abcdef"},
        {"/p/uuid/<uuid:v>", "/p/uuid/01234567-89AB-cdef-0123-456789abcdef", {}},
        {"/p/path/<path:v>", "/p/path/a/b/c", "v=a/b/c"},
        {"/p/def/", "/p/def", {}},
        {"/nested/<str:outer>/a/<int:n>/", "/nested/out/a/5/", "outer=out&n=5"},
        {re("nested/(?P<outer>[^/]+)/b/(?P<w>\\w+)/"), "/nested/out/b/wd/", "outer=out&w=wd"},
        {re("c/(\\w+)/(?P<n>\\d+)"), "/c/w1/22", "n=22"},
        {re("unanch/(?P<x>\\d+)"), "/unanch/12abc/more", {}}, // the whole path must match here
        {re("(?:a|b)/[(](?P<x>.)[)]"), "/b/(z)", "x=z"},
        {"/a<int:x>b<int:y>", "/a1b2", "x=1&y=2"},
        {"/<str:a>-<str:b>", "/1-2-3", "a=1-2&b=3"},
        {"/x/<path:p>/end", "/x/end/end/end", "p=end/end"},
    };
    for (const auto& one : table) {
        CAPTURE(one.source.text);
        CAPTURE(one.path);
        CHECK(captured(one.source, one.path) == one.expected);
    }
}

TEST_CASE("a group of an expression that took no part is there, and empty") {
    CHECK(captured(re("x(?P<a>1)?/(?P<b>2)?"), "/x/2") == "a=&b=2");
}

TEST_CASE("malformed patterns are refused when the table is made") {
    for (const auto* wrong : {"/<int:a", "/<integer:a>/", "/<int:a>/<str:a>/"})
        CHECK_THROWS_AS(pattern{url_pattern(wrong)}, error);
    CHECK_THROWS_AS(pattern{re("(")}, error);
    CHECK_THROWS_AS(pattern{re("(?P<name")}, error);
}

TEST_CASE("a long path does not exhaust the stack of an expression") {
    CHECK_FALSE(pattern(re("(?P<x>(a|b)*)")).match("/" + std::string(100'000, 'a')));
    CHECK(pattern("/<path:x>").match("/" + std::string(100'000, 'a')));
}
