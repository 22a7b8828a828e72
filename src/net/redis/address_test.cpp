#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "net/redis/address.hpp"

using namespace carillon;
using namespace carillon::net::redis;

namespace {

// All of an address in one line; what has its default is left out.
std::string all_of(const address& one) {
    std::string out = one.name();
    const auto add = [&](const char* name, const std::string& content) {
        if (!content.empty())
            out += std::string(" ") + name + "=" + content;
    };
    add("user", one.username);
    add("password", one.password);
    add("sentinel_user", one.sentinel_username);
    add("sentinel_password", one.sentinel_password);
    add("ca", one.ca_file);
    add("certificate", one.certificate_file);
    add("key", one.key_file);
    if (!one.verify)
        out += " unverified";
    return out;
}

std::vector<std::string> all_of(std::string_view urls) {
    const auto parsed = parse_addresses(urls);
    if (!parsed)
        return {parsed.error().message};
    std::vector<std::string> out;
    for (const auto& one : parsed->hosts)
        out.push_back(all_of(one));
    return out;
}

using list = std::vector<std::string>;

} // namespace

TEST_CASE("a Redis address is read with all its parts") {
    struct {
        const char* url;
        list expected;
    } const table[] = {
        {"redis://127.0.0.1:6379/0", {"redis://127.0.0.1:6379/0"}},
        {"redis://", {"redis://localhost:6379/0"}},
        {"redis:///3", {"redis://localhost:6379/3"}},
        {"redis://:7000", {"redis://localhost:7000/0"}},
        {"redis://h", {"redis://h:6379/0"}},
        {"redis://h/", {"redis://h:6379/0"}},
        {"REDIS://Cache-1.example_x.org:1", {"redis://Cache-1.example_x.org:1/0"}},
        {"rediss://h:65535/15", {"rediss://h:65535/15"}},
        {"redis://h/2147483647", {"redis://h:6379/2147483647"}},
        {"redis://[::1]", {"redis://[::1]:6379/0"}},
        {"redis://[2001:db8::7]:7000/2", {"redis://[2001:db8::7]:7000/2"}},
        {"redis://:secret@h", {"redis://h:6379/0 password=secret"}},
        {"redis://user:secret@h:1/2", {"redis://h:1/2 user=user password=secret"}},
        {"redis://user@h", {"redis://h:6379/0 user=user"}},
        {"redis://u%40%3a:p%2Fw%25%2c+@h", {"redis://h:6379/0 user=u@: password=p/w%,+"}},
        {"redis://u:a:b@h", {"redis://h:6379/0 user=u password=a:b"}},
        {"redis://u:a@b@h", {"redis://h:6379/0 user=u password=a@b"}},
        {"redis://u:%C3%A9@h", {"redis://h:6379/0 user=u password=\xc3\xa9"}},
        {"redis://h?db=4", {"redis://h:6379/4"}},
        {"redis://h/3?db=4", {"redis://h:6379/4"}},
        {"redis://h?", {"redis://h:6379/0"}},
        {"redis://h?&db=1&", {"redis://h:6379/1"}},
        {"rediss://h?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_cert_reqs=none",
         {"rediss://h:6379/0 ca=/etc/ca.pem unverified"}},
        {"rediss://h?ssl_certfile=/c.pem&ssl_keyfile=/k.pem&ssl_cert_reqs=required",
         {"rediss://h:6379/0 certificate=/c.pem key=/k.pem"}},
        {"unix:///run/redis.sock", {"unix:///run/redis.sock?db=0"}},
        {"unix:///run/redis@1.sock?db=2", {"unix:///run/redis@1.sock?db=2"}},
        {"unix://user:pw@/run/r.sock", {"unix:///run/r.sock?db=0 user=user password=pw"}},
        {"unix://:pw@/a%2Cb%3F", {"unix:///a,b??db=0 password=pw"}},
    };
    for (const auto& row : table) {
        CAPTURE(row.url);
        CHECK(all_of(row.url) == row.expected);
    }
}

TEST_CASE("hosts with commas are shards and lean on the one before") {
    CHECK(all_of("redis://a,b:7000,[::1]") ==
          list{"redis://a:6379/0", "redis://b:7000/0", "redis://[::1]:6379/0"});
    CHECK(all_of("rediss://u:p@a:1/3?ssl_ca_certs=/ca,b,v:q@c:2/4") ==
          list{"rediss://a:1/3 user=u password=p ca=/ca",
               "rediss://b:6379/3 user=u password=p ca=/ca",
               "rediss://c:2/4 user=v password=q ca=/ca"});
    CHECK(all_of("redis://:p@a/1, rediss://b, unix:///s,/t") ==
          list{"redis://a:6379/1 password=p", "rediss://b:6379/0", "unix:///s?db=0",
               "unix:///t?db=0"});
}

TEST_CASE("a Sentinel scheme takes further Sentinels, a master and a database") {
    CHECK(all_of("redis+sentinel://h1,h2:7,h3/mymaster/2") ==
          list{"redis+sentinel://h1:26379,h2:7,h3:26379/mymaster/2"});
    CHECK(all_of("redis+sentinel://h1/mymaster,h2") ==
          list{"redis+sentinel://h1:26379,h2:26379/mymaster/0"});
    CHECK(all_of("redis+sentinel://u:p@h1,h2/m%20x/?sentinel_username=su&sentinel_password=s%40") ==
          list{"redis+sentinel://h1:26379,h2:26379/m x/0 user=u password=p sentinel_user=su "
               "sentinel_password=s@"});
    CHECK(
        all_of("rediss+sentinel://[::1],h2/m?ssl_ca_certs=/ca,redis+sentinel://h3/n,redis://h4") ==
        list{"rediss+sentinel://[::1]:26379,h2:26379/m/0 ca=/ca", "redis+sentinel://h3:26379/n/0",
             "redis://h4:6379/0"});
}

TEST_CASE("pubsub is the same for all hosts") {
    CHECK_FALSE(parse_addresses("redis://h")->pubsub);
    CHECK(parse_addresses("redis+pubsub://h,h2")->pubsub);
    CHECK(parse_addresses("rediss+pubsub://h,unix+pubsub:///s")->pubsub);
    CHECK(parse_addresses("redis+pubsub+sentinel://h/m")->pubsub);
    CHECK(parse_addresses("redis+sentinel+pubsub://h/m")->hosts[0].master == "m");
    CHECK_FALSE(parse_addresses("redis+pubsub://h,redis://h2"));
    CHECK_FALSE(parse_addresses("redis://h,unix+pubsub:///s"));
}

TEST_CASE("what is no Redis address is refused, and says how it should look") {
    struct {
        const char* url;
        const char* hint; // part of the message
    } const table[] = {
        {"", "redis://127.0.0.1:6379/0"},
        {"h:6379", "no scheme"},
        {"http://h", "the scheme is"},
        {"redis+x://h", "the scheme is"},
        {"redis+://h", "the scheme is"},
        {"redis+pubsub+pubsub://h", "the scheme is"},
        {"redis+sentinel+sentinel://h/m", "the scheme is"},
        {"unix+sentinel:///s", "the scheme is"},
        {"://h", "the scheme is"},
        {"redis://h,", "host 2: it is empty"},
        {"redis://,h", ""}, // localhost, then h
        {"redis://h,,g", "host 2: it is empty"},
        {"redis://h:", "1 to 65535"},
        {"redis://h:0", "1 to 65535"},
        {"redis://h:65536", "1 to 65535"},
        {"redis://h:-1", "1 to 65535"},
        {"redis://h:6379x", "1 to 65535"},
        {"redis://h: 6379", "1 to 65535"},
        {"redis://::1", "in brackets"},
        {"redis://h:1:2", "in brackets"},
        {"redis://[::1", "ends in ]"},
        {"redis://[::1]x", "after ]"},
        {"redis://[nonsense]", "an IPv6 address"},
        {"redis://[127.0.0.1]", "an IPv6 address"},
        {"redis://a b", "a host is a name"},
        {"redis://a%41", "a host is a name"},
        {"redis://h/x", "the database"},
        {"redis://h/-1", "the database"},
        {"redis://h/1/2", "the database"},
        {"redis://h/2147483648", "the database"},
        {"redis://h?db=x", "the database"},
        {"redis://h?db", "name=value"},
        {"redis://h?Db=1", "name=value"},
        {"redis://h?timeout=1", "the parameter timeout is unknown"},
        {"redis://h?db=%4", "malformed % escape"},
        {"rediss://h?ssl_cert_reqs=optional", "required or none"},
        {"redis://h?ssl_ca_certs=/x", "need the scheme rediss"},
        {"redis://h?ssl_cert_reqs=none", "need the scheme rediss"},
        {"rediss://h?ssl_keyfile=/x", "stand together"},
        {"redis://h?sentinel_password=x", "redis+sentinel"},
        {"redis://h#x", "a # has no place"},
        {"redis://u:%zz@h", "malformed % escape"},
        {"redis://u:%00@h", "malformed % escape"},
        {"unix://", "absolute path"},
        {"unix:///", "absolute path"},
        {"unix://run/redis.sock", "absolute path"},
        {"unix:///s,h", "absolute path"},
        {"redis://a,b/3", "host 2: a database stands after the first host"},
        {"rediss://a,b?ssl_ca_certs=/x", "host 2: parameters stand after the first host"},
        {"redis+sentinel://h1,h2", "the master's name"},
        {"redis+sentinel://h1,redis://h2", "the master's name"},
        {"redis+sentinel://h1//0", "the master's name"},
        {"redis+sentinel://h1/m,h2/n", "named once"},
        {"redis+sentinel://h1,u:p@h2/m", "before the first Sentinel only"},
        {"redis+sentinel://h1/m/x", "the database"},
    };
    for (const auto& row : table) {
        CAPTURE(row.url);
        const auto parsed = parse_addresses(row.url);
        if (*row.hint == '\0') {
            CHECK(parsed);
            continue;
        }
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == errc::invalid);
        CAPTURE(parsed.error().message);
        CHECK(parsed.error().message.find(row.hint) != std::string::npos);
    }
}

TEST_CASE("no error and no name repeats a password, even one that was not escaped") {
    for (const char* url :
         {"redis://u:hun/ter2@h", "redis://u:hun?ter2@h", "redis://u:hun?ter2=1@h",
          "redis://u:hun#ter2@h", "redis://:hunter2@h:x", "redis://:hunter2@h/x",
          "redis://:hunter2@h?x=1", "redis://:hunter2", "redis://u:hun,ter2@h",
          "redis://u:hun%ter2@h", "unix://:hunter2/s", "unix://u:hun?ter2@/s",
          "redis+sentinel://:hunter2@h", "redis+sentinel://h/m?sentinel_password=hunter2@",
          "redis://h?db=hunter2", "hunter2", "hunter2://h", "redis://h/hunter2"}) {
        CAPTURE(url);
        const auto parsed = parse_addresses(url);
        REQUIRE_FALSE(parsed);
        for (const char* piece : {"hun", "ter2"})
            CHECK(parsed.error().message.find(piece) == std::string::npos);
    }
    const auto sound = parse_addresses("redis://someone:hunter2@h");
    REQUIRE(sound);
    CHECK(sound->hosts[0].name() == "redis://h:6379/0");
}
