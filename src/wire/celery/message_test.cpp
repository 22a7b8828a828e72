#include "wire/celery/message.hpp"

#include <doctest/doctest.h>

#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

constexpr const char* id = "82e8a8a7-6f9a-4cae-a187-818399f82f59";

// `add.delay(2, 3)` as Celery 5.6 puts it on a queue.
const std::string python_headers =
    R"j({"lang": "py", "task": "vapp.add", "id": "82e8a8a7-6f9a-4cae-a187-818399f82f59", "shadow": null,
    "eta": null, "expires": null, "group": null, "group_index": null, "retries": 0,
    "timelimit": [null, null], "root_id": "82e8a8a7-6f9a-4cae-a187-818399f82f59", "parent_id": null,
    "argsrepr": "(2, 3)", "kwargsrepr": "{}", "origin": "gen14004@host1", "ignore_result": false,
    "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {}})j";
const std::string python_properties =
    R"j({"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2,
    "priority": 0, "correlation_id": "82e8a8a7-6f9a-4cae-a187-818399f82f59",
    "reply_to": "3f67bbdf-a59a-3bdd-91fb-537066e6834b"})j";
constexpr const char* python_body =
    R"([[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])";

std::string with_header(std::string_view name, const value& content) {
    auto headers = parse_json(python_headers).value();
    headers.if_object()->set(name, content);
    return to_json(headers);
}

std::string without_header(std::string_view name) {
    auto headers = parse_json(python_headers).value();
    headers.if_object()->erase(name);
    return to_json(headers);
}

errc refusal(const std::string& headers, const std::string& properties = python_properties,
             const std::string& body = python_body) {
    const auto decoded = decode(headers, properties, body);
    REQUIRE_FALSE(decoded);
    return decoded.error().code;
}

} // namespace

TEST_CASE("Celery's own message is read, and written back with equal content") {
    const auto m = decode(python_headers, python_properties, python_body).value();
    CHECK(m.lang == "py");
    CHECK(m.task == "vapp.add");
    CHECK(m.id == id);
    CHECK(m.root_id == id);
    CHECK(m.args == array{2, 3});
    CHECK(m.kwargs.empty());
    CHECK(m.retries == 0);
    CHECK(m.origin == "gen14004@host1");
    CHECK(m.reply_to == "3f67bbdf-a59a-3bdd-91fb-537066e6834b");
    CHECK(m.ignore_result == false);

    const auto written = encode(m).value();
    CHECK(parse_json(written.headers).value() == parse_json(python_headers).value());
    CHECK(parse_json(written.properties).value() == parse_json(python_properties).value());
    CHECK(parse_json(written.body).value() == parse_json(python_body).value());
}

TEST_CASE("a message of ours has every header that Celery 5.6 writes, in its order") {
    message m;
    m.task = "math.add";
    m.id = "1";
    m.args = {2, "x"};
    m.kwargs = object{{"y", nullptr}};
    m.ignore_result = false;
    m.soft_limit_s = 1.5;
    const auto written = encode(m).value();
    CHECK(written.headers ==
          R"({"lang":"cpp","task":"math.add","id":"1","shadow":null,"eta":null,"expires":null,)"
          R"("group":null,)"
          R"("group_index":null,"retries":0,"timelimit":[null,1.5],"root_id":"1","parent_id":null,)"
          R"j("argsrepr":"(2, 'x')","kwargsrepr":"{'y': None}","origin":"","ignore_result":false,)j"
          R"("replaced_task_nesting":0,"stamped_headers":null,"stamps":{}})");
    CHECK(written.properties ==
          R"({"content_type":"application/json","content_encoding":"utf-8","correlation_id":"1",)"
          R"("reply_to":null,"delivery_mode":2,"priority":0})");
    CHECK(written.body ==
          R"([[2,"x"],{"y":null},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}])");
}

TEST_CASE("a retry as Celery sends it has its time, its count and its parent") {
    auto headers = parse_json(with_header("eta", "2026-11-20T05:43:05.069215+00:00")).value();
    headers.if_object()->set("retries", 1);
    headers.if_object()->set("parent_id", id);
    const auto m = decode(to_json(headers), python_properties, python_body).value();
    CHECK(m.eta == from_iso8601("2026-11-20T05:43:05.069215Z"));
    CHECK(m.retries == 1);
    CHECK(m.parent_id == id);
    CHECK(parse_json(encode(m).value().headers).value()["eta"] ==
          value("2026-11-20T05:43:05.069215+00:00"));
}

TEST_CASE("times are read with Z, with an offset and naive") {
    const auto expected = from_iso8601("2026-01-02T03:04:05Z");
    for (auto* text : {"2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05"})
        CHECK(decode(with_header("eta", text), python_properties, python_body).value().eta ==
              expected);
}

TEST_CASE("what may be missing may be missing") {
    const auto m =
        decode(R"({"task":"t","id":"1"})", R"({"content_type":"application/json"})", "[[],{},null]")
            .value();
    CHECK(m.delivery_mode == 2);
    CHECK_FALSE(m.ignore_result.has_value());
    CHECK(m.embed.empty());
    CHECK(decode(python_headers, python_properties, "[[2],{},{}]"));
    CHECK(decode(with_header("lang", "cpp"), python_properties, python_body));
    CHECK(decode(with_header("id", "no uuid"), python_properties, python_body));
}

TEST_CASE("a user's own headers are kept") {
    const auto m =
        decode(with_header("carillon_group", "report_1"), python_properties, python_body).value();
    CHECK(m.extra == object{{"carillon_group", "report_1"}});
    CHECK(parse_json(encode(m).value().headers).value()["carillon_group"] == value("report_1"));
}

TEST_CASE("messages over which Celery's worker stumbles are refused") {
    CHECK(refusal(without_header("id")) == errc::bad_request);
    CHECK(refusal(without_header("task")) == errc::bad_request);
    CHECK(refusal("[]") == errc::bad_request);
    CHECK(refusal("{") == errc::bad_request);
    CHECK(refusal(with_header("task", 7)) == errc::bad_request);
    CHECK(refusal(with_header("task", std::string(256, 'x'))) == errc::bad_request);
    CHECK(refusal(with_header("id", std::string(256, 'x'))) == errc::bad_request);
    CHECK(refusal(with_header("eta", "soon")) == errc::bad_request);
    CHECK(refusal(with_header("expires", 12)) == errc::bad_request);
    CHECK(refusal(with_header("retries", -1)) == errc::bad_request);
    CHECK(refusal(with_header("retries", "many")) == errc::bad_request);
    CHECK(refusal(with_header("group", 3)) == errc::bad_request);
    CHECK(refusal(with_header("group_index", "first")) == errc::bad_request);
    CHECK(refusal(with_header("timelimit", array{1})) == errc::bad_request);
    CHECK(refusal(with_header("timelimit", array{nullptr, "long"})) == errc::bad_request);
    CHECK(refusal(with_header("timelimit", array{-1, nullptr})) == errc::bad_request);
    CHECK(refusal(with_header("compression", "application/x-bz2")) == errc::unsupported_media);
    CHECK(refusal(python_headers, "{}") == errc::unsupported_media);
    CHECK(refusal(python_headers, R"({"content_type":"application/x-python-serialize"})") ==
          errc::unsupported_media);
    for (auto* body : {"", "null", "{}", "[]", "[[],{}]", "[[],{},{},{}]", "[{},{},{}]",
                       "[[],[],{}]", "[[],null,{}]", "[[],{},7]", "not json", "[[2,3],{},{}"})
        CHECK(refusal(python_headers, python_properties, body) == errc::bad_request);
}

TEST_CASE("a message without a name or an id is not written") {
    message m;
    m.task = "t";
    CHECK(encode(m).error().code == errc::invalid);
    m.id = std::string(256, 'x');
    CHECK(encode(m).error().code == errc::invalid);
    m.id = "1";
    CHECK(encode(m));
    m.task.clear();
    CHECK(encode(m).error().code == errc::invalid);
}

TEST_CASE("arguments are shown as Python shows them, cut at 1024 characters") {
    CHECK(repr_args({}) == "()");
    CHECK(repr_args({"x"}) == "('x',)");
    CHECK(repr_args({1, 2.5, 3.0, true, nullptr}) == "(1, 2.5, 3.0, True, None)");
    CHECK(repr_args({"it's", "\"it's\"", "a\n\\"}) == R"(("it's", '"it\'s"', 'a\n\\'))");
    CHECK(repr_kwargs(object{{"x", array{1, object{{"y", false}}}}}) == "{'x': [1, {'y': False}]}");
    const auto cut = repr_args({std::string(1'000'000, 'x')});
    CHECK(cut.size() == 1'024);
    CHECK(cut.ends_with("xxx..."));
    std::string accents;
    for (int i = 0; i < 1'018; ++i)
        accents += "\u00e9";
    CHECK(repr_args({accents}) == "('" + accents + "',)"); // 1,023 characters, 2,041 bytes
}

} // namespace carillon::wire::celery
