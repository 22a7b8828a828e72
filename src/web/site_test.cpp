// The site's policies: origins, requests of other sites, proxies.

#include <doctest/doctest.h>

#include "channels/memory_layer.hpp"
#include "web/site.hpp"

using namespace carillon;

namespace {

// A site with these policies, and what it makes of a request.
struct policies {
    explicit policies(web::site_options options)
        : here({get("/", [](request&) { return response(); }),
                post("/", [](request&) { return response(); }),
                get("/only/", [](request&) { return response(); }), websocket<consumer>("/ws/")},
               std::move(options), limit, counted, silent_log(), layer, members, boxes) {}

    std::optional<scope> describe(name_value_list headers, std::string peer = "10.0.0.1") const {
        wire::http::request_head head;
        head.method = "GET";
        head.target = "/";
        head.headers.push_back({"Host", "localhost"});
        for (auto& [name, content] : headers)
            head.headers.push_back({name, content});
        const char* why = "";
        return here.describe(std::move(head), false, std::move(peer), 1234, why);
    }

    limits limit;
    metrics counted;
    channels::hub members{counted};
    channels::mailboxes boxes{{}, counted};
    channels::memory_layer layer{members, boxes};
    web::site here;
};

scope asked_by(name_value_list headers, std::string host = "shop.example", std::uint16_t port = 0) {
    scope asked;
    asked.host = std::move(host);
    asked.host_port = port;
    asked.headers = std::move(headers);
    return asked;
}

} // namespace

TEST_CASE("origins are judged as Channels' OriginValidator judges them") {
    struct {
        const char* entry;
        const char* origin; // null: no such header
        bool allowed;
    } const table[] = {
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
        {"example.com", nullptr, false},
        {"*", nullptr, true},
    };
    for (const auto& one : table) {
        CAPTURE(one.entry);
        CAPTURE((one.origin ? one.origin : "(none)"));
        const policies site({{one.entry}, {}});
        auto asked = asked_by({});
        if (one.origin)
            asked.headers.emplace_back("Origin", one.origin);
        CHECK(site.here.origin_allowed(asked) == one.allowed);
    }
}

TEST_CASE("of several origins the last one counts") {
    const policies site({{"good.example"}, {}});
    CHECK(site.here.origin_allowed(
        asked_by({{"Origin", "http://evil.example"}, {"origin", "http://good.example"}})));
    CHECK_FALSE(site.here.origin_allowed(
        asked_by({{"Origin", "http://good.example"}, {"origin", "http://evil.example"}})));
}

TEST_CASE("a request is of another site when its browser says so") {
    struct {
        name_value_list headers;
        std::uint16_t port;
        bool other;
    } const table[] = {
        {{}, 0, false},
        {{{"Origin", "http://shop.example"}}, 0, false},
        {{{"Origin", "https://shop.example"}}, 0, false}, // behind a proxy that ends TLS
        {{{"Origin", "http://SHOP.example"}}, 0, false},
        {{{"Origin", "http://shop.example:80"}}, 0, false},
        {{{"Origin", "https://shop.example"}}, 443, false},
        {{{"Origin", "http://shop.example:8000"}}, 8000, false},
        {{{"Origin", "http://shop.example:8001"}}, 8000, true},
        {{{"Origin", "http://shop.example"}}, 8000, true},
        {{{"Origin", "http://evil.example"}}, 0, true},
        {{{"Origin", "http://shop.example.evil.example"}}, 0, true},
        {{{"Origin", "null"}}, 0, true},
        {{{"Origin", ""}}, 0, true},
        {{{"Origin", "http://"}}, 0, true},
        {{{"Sec-Fetch-Site", "cross-site"}}, 0, true},
        {{{"Sec-Fetch-Site", "same-site"}}, 0, true},
        {{{"Sec-Fetch-Site", "same-origin"}}, 0, false},
        {{{"Sec-Fetch-Site", "none"}}, 0, false},
        {{{"Origin", "http://shop.example"}, {"Sec-Fetch-Site", "cross-site"}}, 0, false},
    };
    for (const auto& one : table) {
        CAPTURE((one.headers.empty() ? "(none)" : one.headers.front().second));
        CHECK(web::site::asked_by_other_site(asked_by(one.headers, "shop.example", one.port)) ==
              one.other);
    }
}

TEST_CASE("forwarded headers are believed of trusted proxies only, from the right") {
    const policies site({{"localhost"}, {"10.0.0.1", "10.0.0.2", "unix"}});
    const auto client_of = [&](name_value_list headers, std::string peer = "10.0.0.1") {
        const auto seen = site.describe(std::move(headers), std::move(peer));
        return seen->client_address + (seen->secure ? " secure" : "");
    };
    CHECK(client_of({}) == "10.0.0.1");
    CHECK(client_of({{"X-Forwarded-For", "1.2.3.4"}}, "9.9.9.9") == "9.9.9.9");
    CHECK(client_of({{"X-Forwarded-Proto", "https"}}, "9.9.9.9") == "9.9.9.9");
    CHECK(client_of({{"X-Forwarded-For", "1.2.3.4"}}) == "1.2.3.4");
    CHECK(client_of({{"X-Forwarded-For", "6.6.6.6, 1.2.3.4"}}) == "1.2.3.4");
    CHECK(client_of({{"X-Forwarded-For", "6.6.6.6, 1.2.3.4 , 10.0.0.2"}}) == "1.2.3.4");
    CHECK(client_of({{"X-Forwarded-For", " , ,"}}) == "10.0.0.1");
    CHECK(client_of({{"X-Forwarded-For", "1.2.3.4"}}, "") == "1.2.3.4");
    // A proxy that adds a line of its own instead of extending the client's.
    CHECK(client_of({{"X-Forwarded-For", "6.6.6.6"}, {"x-forwarded-for", "1.2.3.4"}}) == "1.2.3.4");
    CHECK(client_of({{"X-Forwarded-Proto", "https"}}) == "10.0.0.1 secure");
    CHECK(client_of({{"X-Forwarded-Proto", "http, https"}}) == "10.0.0.1 secure");
    CHECK(client_of({{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "http"}}) == "10.0.0.1");
}

TEST_CASE("routes are found by method and kind, and the others named for Allow") {
    const policies site({});
    CHECK(site.here.match("GET", "/").found);
    CHECK(site.here.match("HEAD", "/").found);
    const auto other = site.here.match("PUT", "/");
    CHECK_FALSE(other.found);
    CHECK(other.allowed == "GET, HEAD, POST");
    CHECK(site.here.match("PUT", "/only/").allowed == "GET, HEAD");
    CHECK(site.here.match("", "/ws/").found);
    CHECK_FALSE(site.here.match("GET", "/ws/").found);
    CHECK(site.here.match("GET", "/ws/").allowed.empty());
    CHECK(site.here.match("GET", "/nowhere").allowed.empty());
}

TEST_CASE("a Host that is not served, or none, is refused") {
    const policies site({{"localhost", ".shop.example"}, {}});
    const auto described = [&](const char* host, int minor) {
        wire::http::request_head head;
        head.method = "GET";
        head.target = "/";
        head.version_minor = minor;
        if (host)
            head.headers.push_back({"Host", host});
        const char* why = "";
        return site.here.describe(std::move(head), false, "127.0.0.1", 1, why).has_value();
    };
    for (const auto* host : {"localhost", "LOCALHOST:99", "shop.example", "a.b.shop.example:1"})
        CHECK(described(host, 1));
    for (const auto* host : {"evil.example", "localhost:x", "", "localhost, evil",
                             "badshop.example", "user@localhost"})
        CHECK_FALSE(described(host, 1));
    CHECK_FALSE(described(nullptr, 0));
}
