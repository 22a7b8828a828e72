#include "wire/celery/signature.hpp"

#include <cmath>

#include <doctest/doctest.h>

#include "wire/celery/test_vectors.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

value parsed(std::string_view text) { return parse_json(text).value(); }

signature sig(std::string_view text) { return read_signature(parsed(text)).value(); }

message published(const value& m) {
    return decode(test::headers_of(m), test::properties_of(m), m["body"].to_text()).value();
}

message inside(std::string_view element) {
    const auto e = parsed(element);
    auto properties = *e["properties"].if_object();
    properties.set("content_type", "application/json");
    return decode(*e["headers"].if_object(), properties, "[[],{},{}]").value();
}

// Ids are n1, n2, …
sending numbered() {
    sending with;
    with.when = *from_iso8601("2026-01-02T03:04:05Z");
    with.origin = "gen1@host1";
    with.reply_to = "mine";
    with.new_id = [n = 0]() mutable { return "n" + std::to_string(++n); };
    return with;
}

void check_same(const message& made, const message& seen) {
    auto adjusted = made;
    adjusted.lang = seen.lang;
    adjusted.origin = seen.origin;
    CHECK(encode_parts(adjusted).value().headers == encode_parts(seen).value().headers);
    CHECK(encode_parts(adjusted).value().properties == encode_parts(seen).value().properties);
    CHECK(parsed(encode_parts(adjusted).value().body) == parsed(encode_parts(seen).value().body));
}

const std::string plain = R"({"task":"t","args":[7],"kwargs":{},"options":{},)"
                          R"("subtask_type":null,"immutable":false})";

std::string composite(std::string_view kind, std::string_view kwargs,
                      std::string_view options = "{}") {
    return std::string(R"({"task":"celery.)") + std::string(kind) + R"(","args":[],"kwargs":)" +
           std::string(kwargs) + R"(,"options":)" + std::string(options) + R"(,"subtask_type":")" +
           std::string(kind) + R"(","immutable":false})";
}

} // namespace

TEST_CASE("signatures are read and written equal, with what they do not know") {
    const auto full = parsed(R"({"task":"t","args":[1],"kwargs":{"x":2},"options":{"queue":"q"},
        "subtask_type":"group","immutable":true,"chord_size":2})");
    CHECK(to_value(read_signature(full).value()) == full);
    const auto least = sig(R"({"task":"t"})");
    CHECK(least.args.empty());
    CHECK_FALSE(least.immutable);
    for (auto* text : {"7", "null", "{}", R"({"task":""})", R"({"task":"t","args":{}})",
                       R"({"task":"t","kwargs":[]})", R"({"task":"t","options":7})"})
        CHECK(read_signature(parsed(text)).error().code == errc::bad_request);
    CHECK(read_signatures(value()).value().empty());
    CHECK(read_signatures(parsed(plain)).value().size() == 1);
    CHECK(read_signatures(parsed("[7]")).error().code == errc::bad_request);
}

TEST_CASE("each step of Celery's chain is what Celery's worker sent") {
    for (auto* version : {"celery_5_2_6", "celery_5_6_3"}) {
        const auto steps = test::messages(version, "chain", "task");
        const auto results = test::messages(version, "chain", "rpc_result");
        REQUIRE(steps.size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            const auto outcome = decode_result(results[i]["body"].to_text()).value();
            const auto p = after_success(published(steps[i]), outcome.outcome, numbered()).value();
            CHECK(p.chord_sizes.empty());
            REQUIRE(p.messages.size() == (i < 2 ? 1 : 0));
            if (i < 2)
                check_same(p.messages[0].what, published(steps[i + 1]));
            REQUIRE(p.children.size() == outcome.children->size());
            if (i < 2)
                CHECK(to_value(p.children[0]) == to_value((*outcome.children)[0]));
        }
    }
}

TEST_CASE("the callback of Celery's link is what Celery's worker sent") {
    for (auto* version : {"celery_5_2_6", "celery_5_6_3"}) {
        const auto tasks = test::messages(version, "link", "task");
        REQUIRE(tasks.size() == 2);
        const auto seen = published(tasks[1]);
        auto with = numbered();
        with.new_id = [&] { return seen.id; };
        with.reply_to = seen.reply_to;
        const auto p = after_success(published(tasks[0]), 5, with).value();
        REQUIRE(p.messages.size() == 1);
        check_same(p.messages[0].what, seen);
        CHECK(p.messages[0].queue.empty());
    }
}

TEST_CASE("immutable callbacks take no result, several become one group") {
    message m;
    m.id = "me";
    m.root_id = "root";
    m.embed.append("callbacks", parsed("[" + plain + R"(,{"task":"u","immutable":true},)" +
                                       composite("group", R"({"tasks":[{"task":"v"}]})") + "]"));
    const auto p = after_success(m, "r", numbered()).value();
    REQUIRE(p.messages.size() == 3);
    const auto &group_member = p.messages[0].what, &first = p.messages[1].what,
               &second = p.messages[2].what;
    CHECK(group_member.task == "v");
    CHECK(group_member.args == array{"r"});
    CHECK(first.args == array{"r", 7});
    CHECK(second.args.empty());
    CHECK(first.group == second.group);
    CHECK(first.group != group_member.group);
    CHECK(first.group_index == 0);
    CHECK(second.group_index == 1);
    for (const auto& o : p.messages) {
        CHECK(o.what.parent_id == "me");
        CHECK(o.what.root_id == "root");
        CHECK(o.what.reply_to == "mine");
    }
    CHECK(p.children.size() == 2);
    CHECK(p.children[1].is_group);
}

TEST_CASE("errbacks get the id of the failed task in front, as a group") {
    const auto tasks = test::messages("celery_5_6_3", "linkerr", "task");
    const auto failed = published(tasks.at(0));
    const auto p = after_failure(failed, numbered()).value();
    REQUIRE(p.messages.size() == 1);
    const auto& m = p.messages[0].what;
    CHECK(m.task == "vapp.onerr");
    CHECK(m.args == array{failed.id});
    CHECK(m.parent_id == failed.id);
    CHECK(m.root_id == failed.id);
    CHECK_FALSE(m.group.empty());
    CHECK(after_failure(published(test::messages("celery_5_6_3", "add", "task").at(0)), numbered())
              .value()
              .messages.empty());
}

TEST_CASE("the later steps of a chain that failed are known by their ids") {
    const auto first = published(test::messages("celery_5_6_3", "chain", "task").at(0));
    const auto steps = abandoned_steps(first);
    REQUIRE(steps.size() == 2);
    CHECK(steps[0].id == "b560809b-ef5f-40fe-98e4-6f95d0c6aaa4");
    CHECK(steps[1].id == "4e72e4a8-623b-43c6-9871-f84f32be57d6");
    CHECK_FALSE(end_of_member(steps[0], state::failure, nullptr));
    message m;
    m.embed.append("chain", parsed(R"([7,{"task":"t"},{"task":"t","options":{"task_id":"i",
        "group_id":"g","group_index":3,"chord":{"task":"body"}}}])"));
    const auto member = abandoned_steps(m);
    REQUIRE(member.size() == 1);
    const auto part = end_of_member(member[0], state::failure, "x").value();
    CHECK(part.group_id == "g");
    CHECK(part.score == 3);
    CHECK(part.member == R"([1,"i","FAILURE","x"])");
}

TEST_CASE("the options of a signature are those of the message") {
    const auto s = sig(R"({"task":"t","options":{"task_id":"i","reply_to":"r","group_id":"g",
        "group_index":2,"countdown":1.5,"expires":60,"priority":5,"time_limit":30,
        "soft_time_limit":20,"shadow":"nice","retries":1,"headers":{"x":"y"},"ignore_result":true,
        "queue":"q","exchange":"e","routing_key":"k","compression":"zlib",
        "stamped_headers":["team"],"team":"blue","link":{"task":"u"},"link_error":[{"task":"v"}],
        "chain":[{"task":"w"}],"chord":{"task":"b"},"replaced_task_nesting":1}})");
    const auto p = send_signature(s, numbered()).value();
    REQUIRE(p.messages.size() == 1);
    const auto& m = p.messages[0].what;
    CHECK(m.id == "i");
    CHECK(m.reply_to == "r");
    CHECK(m.group == "g");
    CHECK(m.group_index == 2);
    CHECK(m.eta == from_iso8601("2026-01-02T03:04:06.5Z"));
    CHECK(m.expires == from_iso8601("2026-01-02T03:05:05Z"));
    CHECK(m.expiration == "60000");
    CHECK(m.priority == 5);
    CHECK(m.hard_limit_s == 30);
    CHECK(m.soft_limit_s == 20);
    CHECK(m.shadow == "nice");
    CHECK(m.retries == 1);
    CHECK(m.extra == object{{"x", "y"}});
    CHECK(m.ignore_result == true);
    CHECK(m.compression == zlib_compression);
    CHECK(m.stamps == object{{"team", "blue"}});
    CHECK(m.replaced_task_nesting == 1);
    CHECK(m.embed == *parsed(R"({"callbacks":[{"task":"u"}],"errbacks":[{"task":"v"}],
        "chain":[{"task":"w"}],"chord":{"task":"b"}})")
                          .if_object());
    CHECK(p.messages[0].queue == "q");
    CHECK(p.messages[0].exchange == "e");
    CHECK(p.messages[0].routing_key == "k");
    for (auto* options : {R"({"countdown":"soon"})", R"({"countdown":1e300})", R"({"expires":[]})",
                          R"({"eta":7e99})"}) {
        auto broken = s;
        broken.options = *parsed(options).if_object();
        CHECK(send_signature(broken, numbered()).error().code == errc::bad_request);
    }
    auto past = s;
    past.options = *parsed(R"({"expires":-5})").if_object();
    CHECK(send_signature(past, numbered()).value().messages[0].what.expiration == "0");
}

TEST_CASE("a chain as signature sends its first step and carries the others") {
    const auto p =
        send_signature(
            sig(composite("chain", R"({"tasks":[{"task":"a"},{"task":"b"},{"task":"c"}]})",
                          R"({"task_id":"end"})")),
            numbered())
            .value();
    REQUIRE(p.messages.size() == 1);
    const auto& m = p.messages[0].what;
    CHECK(m.task == "a");
    const auto& chain = *m.embed.find("chain")->if_array();
    REQUIRE(chain.size() == 2);
    CHECK(chain[0]["task"] == value("c")); // the next one is the last
    CHECK(chain[0]["options"]["task_id"] == value("end"));
    CHECK(chain[1]["task"] == value("b"));
    CHECK(to_json(to_value(p.children.at(0))) ==
          R"([["end",[["n2",[["n1",null],null]],null]],null])");

    // What follows an inner chain follows its last step.
    message before;
    before.id = "0";
    before.embed.append(
        "chain", array{parsed(R"({"task":"z"})"),
                       parsed(composite("chain", R"({"tasks":[{"task":"x"},{"task":"y"}]})"))});
    const auto nested = after_success(before, 1, numbered()).value();
    const auto& rest = *nested.messages.at(0).what.embed.find("chain")->if_array();
    REQUIRE(rest.size() == 2);
    CHECK(rest[0]["task"] == value("z"));
    CHECK(rest[1]["task"] == value("y"));
}

TEST_CASE("a group as next step sends every member with the result") {
    message before;
    before.id = "0";
    before.embed.append("chain",
                        array{parsed(composite("group", R"({"tasks":[{"task":"a"},{"task":"b"}]})",
                                               R"({"task_id":"g"})"))});
    const auto p = after_success(before, "r", numbered()).value();
    REQUIRE(p.messages.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        const auto& m = p.messages[i].what;
        CHECK(m.args == array{"r"});
        CHECK(m.group == "g");
        CHECK(m.group_index == static_cast<std::int64_t>(i));
        CHECK(m.parent_id == "0");
    }
    CHECK(p.chord_sizes.empty());
}

TEST_CASE("a chord becomes its members, their count and their body") {
    const auto text = composite(
        "chord",
        R"({"header":)" +
            composite("group",
                      R"({"tasks":[{"task":"a"},)" +
                          composite("chain", R"({"tasks":[{"task":"b"},{"task":"c"}]})") + "]}",
                      R"({"task_id":"g"})") +
            R"(,"body":{"task":"sum"}})");
    const auto p = send_signature(sig(text), numbered()).value();
    REQUIRE(p.chord_sizes.size() == 1);
    CHECK(p.chord_sizes[0].group_id == "g");
    CHECK(p.chord_sizes[0].members == 2);
    REQUIRE(p.messages.size() == 2);
    const auto& a = p.messages[0].what;
    CHECK(a.group == "g");
    CHECK(a.group_index == 0);
    CHECK((*a.embed.find("chord"))["task"] == value("sum"));
    CHECK((*a.embed.find("chord"))["options"]["reply_to"] == value("mine"));
    // Of the chain its last step is the member that counts.
    const auto& b = p.messages[1].what;
    CHECK(b.group.empty());
    CHECK(b.embed.find("chord")->is_null());
    const auto& c = b.embed.find("chain")->if_array()->at(0);
    CHECK(c["options"]["group_index"] == value(1));
    CHECK(c["options"]["chord"]["task"] == value("sum"));
    CHECK(p.children.at(0).id == (*a.embed.find("chord"))["options"]["task_id"].to_text());
    CHECK(p.children.at(0).parent.at(0).members.size() == 2);
}

TEST_CASE("a group that something follows becomes a chord") {
    message before;
    before.id = "0";
    before.embed.append(
        "chain", array{parsed(R"({"task":"after"})"), parsed(R"({"task":"body"})"),
                       parsed(composite("group", R"({"tasks":[{"task":"a"},{"task":"b"}]})"))});
    const auto p = after_success(before, 1, numbered()).value();
    REQUIRE(p.messages.size() == 2);
    REQUIRE(p.chord_sizes.size() == 1);
    const auto& body = *p.messages[0].what.embed.find("chord");
    CHECK(body["task"] == value("body"));
    CHECK(body["options"]["chain"] == value(array{parsed(R"({"task":"after"})")}));
}

TEST_CASE("a chord without members runs its body at once") {
    const auto p = send_signature(sig(composite("chord", R"({"header":[],"body":{"task":"sum"}})")),
                                  numbered())
                       .value();
    REQUIRE(p.messages.size() == 1);
    CHECK(p.messages[0].what.args == array{array()});
    CHECK(p.chord_sizes.empty());
}

TEST_CASE("members of Celery's chord write what Celery's worker wrote") {
    int parts = 0;
    for (auto* version : {"celery_5_2_6", "celery_5_6_3"}) {
        std::vector<message> members;
        std::vector<array> writes;
        test::for_each_command(
            "LPUSH", [&](std::string_view v, std::string_view s, const array& c) {
                if (v == version && s == "chord" &&
                    parsed(c.at(2).to_text())["headers"]["group_index"].is_number())
                    members.push_back(inside(c.at(2).to_text()));
            });
        test::for_each_command("ZADD", [&](std::string_view v, std::string_view s, const array& c) {
            if (v == version && s == "chord")
                writes.push_back(c);
        });
        REQUIRE(members.size() == 2);
        REQUIRE(writes.size() == 2);
        for (auto& m : members)
            for (const auto& write : writes) {
                const auto member = parsed(write.at(3).to_text());
                if (member.if_array()->at(1).to_text() != m.id)
                    continue;
                m.embed.append("chord", parsed(R"({"task":"vapp.tsum"})"));
                const auto part =
                    end_of_member(m, state::success, member.if_array()->at(3)).value();
                CHECK(result_names().chord_results(part.group_id) == write.at(1).to_text());
                CHECK(std::to_string(static_cast<int>(part.score)) == write.at(2).to_text());
                CHECK(parsed(part.member) == member);
                ++parts;
            }
    }
    CHECK(parts == 4);
    message alone;
    alone.id = "1";
    alone.group = "g";
    CHECK_FALSE(end_of_member(alone, state::success, 1));
    alone.embed.append("chord", parsed(R"({"task":"b"})"));
    CHECK(std::isinf(end_of_member(alone, state::success, 1).value().score));
}

TEST_CASE("a chord ends with its body, or with the first failure") {
    message last;
    last.id = "2";
    last.root_id = "1";
    last.group = "g";
    last.embed.append("chord", parsed(R"({"task":"vapp.tsum","args":[],"options":{"task_id":"body",
        "reply_to":"r","link_error":{"task":"onerr"}}})"));
    const auto good =
        end_of_chord(last, {R"([1,"1","SUCCESS",2])", R"([1, "2", "SUCCESS", 4])"}, numbered())
            .value();
    CHECK_FALSE(good.error);
    REQUIRE(good.body.messages.size() == 1);
    const auto& m = good.body.messages[0].what;
    CHECK(m.id == "body");
    CHECK(m.args == array{array{2, 4}});
    CHECK(m.parent_id == "2");
    CHECK(m.root_id == "1");
    CHECK(m.reply_to == "r");

    const std::string failed = R"([1,"2","FAILURE",{"exc_type":"ValueError",)"
                               R"("exc_message":["boom"],"exc_module":"builtins"}])";
    const auto bad = end_of_chord(last, {R"([1,"1","SUCCESS",2])", failed}, numbered()).value();
    REQUIRE(bad.error);
    CHECK(bad.error->arguments == array{"Dependency 2 raised ValueError('boom')"});
    CHECK(bad.body_id == "body");
    CHECK(bad.body.messages.empty());
    REQUIRE(bad.errbacks.messages.size() == 1);
    CHECK(bad.errbacks.messages[0].what.args == array{"body"});
    for (auto* text : {"", "7", "[1,2,3]"})
        CHECK(end_of_chord(last, {text}, numbered()).error().code == errc::bad_request);
    CHECK(end_of_chord(message(), {}, numbered()).error().code == errc::bad_request);
}

TEST_CASE("a chord is complete when its results equal its members") {
    CHECK(is_complete(2, 2, 0));
    CHECK(is_complete(3, 2, 1));
    CHECK_FALSE(is_complete(1, 2, 0));
    CHECK_FALSE(is_complete(0, 0, 0));
    CHECK_FALSE(is_complete(0, INT64_MAX, INT64_MAX));
}

TEST_CASE("workflows that are broken, too deep or too large are refused") {
    const auto refused = [](const std::string& text) {
        return send_signature(sig(text), numbered()).error().code;
    };
    CHECK(refused(composite("chain", R"({"tasks":[]})")) == errc::bad_request);
    CHECK(refused(composite("chain", R"({})")) == errc::bad_request);
    CHECK(refused(composite("group", R"({"tasks":[7]})")) == errc::bad_request);
    CHECK(refused(composite("chord", R"({"header":[{"task":"a"}]})")) == errc::bad_request);
    CHECK(refused(composite("chord", R"({"header":[)" + composite("chain", R"({"tasks":[]})") +
                                         R"(],"body":{"task":"b"}})")) == errc::bad_request);
    value deep = parsed(R"({"task":"t"})");
    for (int i = 0; i < workflow_depth_max + 2; ++i)
        deep = object{{"task", "celery.group"},
                      {"subtask_type", "group"},
                      {"kwargs", object{{"tasks", array{deep}}}}};
    CHECK(send_signature(read_signature(deep).value(), numbered()).error().code ==
          errc::bad_request);
    // A thousand members that would each get a result of a megabyte.
    message m;
    m.id = "1";
    array tasks(1000, parsed(R"({"task":"t"})"));
    m.embed.append("callbacks", array{object{{"task", "celery.group"},
                                             {"subtask_type", "group"},
                                             {"kwargs", object{{"tasks", tasks}}}}});
    CHECK(after_success(m, std::string(1 << 20, 'x'), numbered()).error().code == errc::too_large);
    m.embed = object{{"callbacks", 7}};
    CHECK(after_success(m, 1, numbered()).error().code == errc::bad_request);
    m.embed = object{{"chain", 7}};
    CHECK(after_success(m, 1, numbered()).error().code == errc::bad_request);
    m.embed = object{{"chain", array{7}}};
    CHECK(after_success(m, 1, numbered()).error().code == errc::bad_request);
    m.embed = object{{"errbacks", array{7}}};
    CHECK(after_failure(m, numbered()).error().code == errc::bad_request);
}

} // namespace carillon::wire::celery
