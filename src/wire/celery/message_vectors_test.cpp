// Messages that real Celery published, and those that its workers do not survive.
#include <doctest/doctest.h>

#include "wire/base64.hpp"
#include "wire/celery/envelope.hpp"
#include "wire/celery/json.hpp"
#include "wire/celery/message.hpp"
#include "wire/celery/test_vectors.hpp"
#include "wire/gzip.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

// Every header that was there is there again; new are only those that 5.2 does not write.
void check_headers(const object& written, const object& original) {
    for (const auto& [name, content] : original) {
        const std::string& header = name;
        CAPTURE(header);
        REQUIRE(written.find(name));
        CHECK(*written.find(name) == content);
    }
    for (const auto& [name, content] : written)
        if (!original.find(name))
            CHECK(
                (name == "replaced_task_nesting" || name == "stamped_headers" || name == "stamps"));
}

const object& type_json() {
    static const object json{{"content_type", "application/json"}};
    return json;
}
object least_headers() { return object{{"task", "vapp.add"}, {"id", "1"}}; }

failure refusal(const object& headers, std::string_view body,
                const object& properties = type_json()) {
    const auto read = decode(headers, properties, body);
    REQUIRE_FALSE(read);
    return read.error();
}

} // namespace

TEST_CASE("every task message of both versions is read and written with equal fields") {
    const int count = test::for_each_message("task", [](std::string_view version,
                                                        std::string_view scenario,
                                                        const value& published) {
        CAPTURE(version);
        CAPTURE(scenario);
        const auto properties = test::properties_of(published);
        const auto headers = test::headers_of(published);
        const auto m = decode(headers, properties, published["body"].to_text()).value();
        const auto written = encode_parts(m).value();
        check_headers(written.headers, headers);
        CHECK(written.properties == properties);
        CHECK(parse_json(written.body).value() == parse_json(published["body"].to_text()).value());
    });
    CHECK(count == 51);
}

TEST_CASE("a message of protocol 1 is read like one of protocol 2") {
    const auto& vector = test::vectors()["protocol_1"];
    const auto e = decode_envelope(vector["list_element"].to_text()).value();
    const auto m = decode(e.parts.headers, e.parts.properties, e.parts.body).value();
    CHECK(m.task == "vapp.add");
    CHECK(m.id == "502b4460-d0ac-4933-ae2f-a44d2b23e9ad");
    CHECK(m.args == array{2, 3});
    CHECK(m.kwargs.empty());
    CHECK(m.eta == from_iso8601("2026-11-20T05:46:27.481067Z"));
    CHECK(m.retries == 0);
    CHECK(m.embed.empty());
    CHECK_FALSE(m.hard_limit_s);

    auto least = *vector["minimal_accepted_body"].if_object();
    CHECK(decode({}, type_json(), to_json(least)).value().args == array{2, 3});
    least.set("callbacks", array{object{{"task", "t"}}});
    least.set("taskset", "g");
    const auto with_more = decode({}, type_json(), to_json(least)).value();
    CHECK(with_more.group == "g");
    CHECK(with_more.embed == object{{"callbacks", array{object{{"task", "t"}}}}});
}

TEST_CASE("in the hybrid form the headers win over the body") {
    const auto m = decode(least_headers(), type_json(),
                          R"({"task":"other","id":"2","args":[2,3],"kwargs":{},"retries":4})")
                       .value();
    CHECK(m.task == "vapp.add");
    CHECK(m.id == "1");
    CHECK(m.retries == 4);
    CHECK(m.args == array{2, 3});
}

TEST_CASE("bodies that are neither protocol are refused") {
    CHECK(refusal({}, "{}").message ==
          "the body is neither an array of three nor a task of protocol 1");
    CHECK(refusal({}, "[[],{},{}]").message == "neither a header `task` nor a body of protocol 1");
    CHECK(refusal({}, R"({"args":[]})").code == errc::bad_request);
    CHECK(refusal({}, R"({"task":"t","id":"1","args":{}})").code == errc::bad_request);
    CHECK(refusal({}, R"({"task":"t","id":"1","args":[],"kwargs":null})").code ==
          errc::bad_request);
    CHECK(refusal({}, R"({"task":"t","id":"1","args":[],"eta":"2026-01-02T03:04:05","utc":false})")
              .code == errc::bad_request);
    CHECK(decode({}, type_json(),
                 R"({"task":"t","id":"1","args":[],"eta":"2026-01-02T03:04:05Z","utc":false})"));
}

TEST_CASE("a body that was compressed with zlib is read, and compressed again") {
    CHECK(test::vectors()["compression"]["header"]["compression"] == value(zlib_compression));
    auto headers = least_headers();
    headers.set("compression", zlib_compression);
    const std::string body = R"([["x"],{},{}])";
    const auto stream = zlib_compress(as_bytes(body));
    CHECK(base64_encode(stream).starts_with("eJ"));
    const auto m = decode(headers, type_json(), as_text(stream)).value();
    CHECK(m.args == array{"x"});
    const auto again = encode_parts(m).value();
    CHECK(*again.headers.find("compression") == value(zlib_compression));
    const auto opened = zlib_inflate(as_bytes(again.body), 1000).value();
    CHECK(parse_json(as_text(opened)).value() ==
          parse_json(R"([["x"],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}])")
              .value());
}

TEST_CASE("other compressions are refused by name, broken and huge ones for what they are") {
    auto headers = least_headers();
    for (auto* method :
         {"application/x-bz2", "application/x-lzma", "application/zstd", "application/x-brotli"}) {
        headers.set("compression", method);
        const auto why = refusal(headers, "BZh9");
        CHECK(why.code == errc::unsupported_media);
        CHECK(why.message.find(method) != std::string::npos);
    }
    headers.set("compression", zlib_compression);
    CHECK(refusal(headers, "[[],{},{}]").code == errc::bad_request);
    const auto bomb = zlib_compress(bytes(inflated_bytes_max + 1, std::byte{' '}));
    CHECK(bomb.size() < 100'000);
    CHECK(refusal(headers, as_text(bomb)).code == errc::too_large);
    message m;
    m.task = "t";
    m.id = "1";
    m.compression = "application/zstd";
    CHECK(encode_parts(m).error().code == errc::invalid);
}

TEST_CASE("each careless message gets a reason of its own") {
    CHECK(refusal(object{{"task", "t"}}, "[[],{},{}]").message ==
          "header `id` is missing or too long");
    CHECK(refusal(least_headers(), "[[2,3],{}]").message ==
          "the body is no array of three: arguments, named arguments, workflow");
    CHECK(refusal(least_headers(), "[[],{},{}]", {}).message ==
          "no content type; expected application/json");
    CHECK(refusal(least_headers(), "[[],{},{}]", object{{"content_type", "text/json"}}).code ==
          errc::unsupported_media);
    CHECK(refusal(least_headers(), "[[2,3],null,{}]").message ==
          "the arguments are no array, or the named arguments no object");
    CHECK(refusal(least_headers(), R"(["\xff",{},{}])").code == errc::bad_request);
    CHECK(refusal(least_headers(), "[[\"\xff\"],{},{}]").code == errc::bad_request);
    CHECK(refusal(least_headers(), "not json").message.starts_with("body: "));
    const object latin{{"content_type", "application/json"}, {"content_encoding", "latin-1"}};
    CHECK(refusal(least_headers(), "[[],{},{}]", latin).code == errc::unsupported_media);
}

TEST_CASE("odd input that Celery's workers run is run") {
    for (auto* encoding : {"utf-8", "UTF-8", "binary", "ascii"})
        CHECK(decode(least_headers(),
                     object{{"content_type", "application/json"}, {"content_encoding", encoding}},
                     "[[2,3],{},{}]"));
    CHECK(decode(least_headers(), type_json(), "[[2,3],{},null]"));
    const auto nan = decode(least_headers(), type_json(), "[[NaN],{},{}]").value();
    CHECK(encode(nan).value().body.find("[{\"__type__\":\"decimal\"") != std::string::npos);
}

TEST_CASE("a delivery that was put back says so, and its next try does not") {
    auto headers = least_headers();
    headers.set("redelivered", true);
    headers.set("x-death", array{1});
    headers.set("x-tenant", "t1");
    auto m = decode(headers, type_json(), "[[2,3],{},{}]").value();
    CHECK(m.redelivered);
    const auto when = *from_iso8601("2026-01-02T03:04:05Z");
    m = next_try(std::move(m), when);
    CHECK_FALSE(m.redelivered);
    CHECK(m.retries == 1);
    CHECK(m.parent_id == "1");
    CHECK(m.eta == when);
    CHECK(m.extra == object{{"x-tenant", "t1"}});
    m.retries = INT64_MAX;
    CHECK(next_try(m, when).retries == INT64_MAX);
}

TEST_CASE("the next try equals the retry that Celery sent") {
    for (auto* version : {"celery_5_2_6", "celery_5_6_3"}) {
        const auto tries = test::messages(version, "retry", "task");
        REQUIRE(tries.size() == 2);
        const auto first = decode(test::headers_of(tries[0]), test::properties_of(tries[0]),
                                  tries[0]["body"].to_text())
                               .value();
        const auto second = decode(test::headers_of(tries[1]), test::properties_of(tries[1]),
                                   tries[1]["body"].to_text())
                                .value();
        auto next = next_try(first, *second.eta);
        next.origin = second.origin;
        CHECK(encode_parts(next).value().headers == encode_parts(second).value().headers);
        CHECK(encode_parts(next).value().properties == encode_parts(second).value().properties);
        CHECK(encode_parts(next).value().body == encode_parts(second).value().body);
    }
}

TEST_CASE("who waits for a message that cannot be read is known") {
    message_parts parts;
    parts.headers = object{{"task", "t"}, {"id", "1"}};
    parts.properties = object{{"reply_to", "q"}, {"correlation_id", "c"}};
    parts.body = "broken";
    auto who = identify(parts);
    CHECK(who.task == "t");
    CHECK(who.id == "1");
    CHECK(who.reply_to == "q");
    CHECK(who.correlation_id == "c");
    parts = {};
    parts.body = R"({"task":"t","id":"1","args":7})";
    who = identify(parts);
    CHECK(who.task == "t");
    CHECK(who.id == "1");
    parts.headers = object{{"task", 7}, {"id", std::string(300, 'x')}};
    parts.body = "[]";
    CHECK(identify(parts).id.empty());
    CHECK(identify(parts).task.empty());
}

} // namespace carillon::wire::celery
