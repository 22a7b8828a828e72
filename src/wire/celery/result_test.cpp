#include "wire/celery/result.hpp"

#include <doctest/doctest.h>

#include "wire/celery/test_vectors.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

result_record minimal(std::string_view status, value outcome) {
    result_record r;
    r.task_id = "1";
    r.status = status;
    r.outcome = std::move(outcome);
    return r;
}

result_tuple task(std::string id) {
    result_tuple r;
    r.id = std::move(id);
    return r;
}

} // namespace

TEST_CASE("every stored record of both versions reads and writes equal") {
    int records = 0;
    test::for_each_command(
        "SETEX", [&](std::string_view version, std::string_view scenario, const array& command) {
            if (!command.at(1).to_text().starts_with("celery-task-meta-"))
                return;
            ++records;
            CAPTURE(version);
            CAPTURE(scenario);
            const auto text = command.at(3).to_text();
            const auto r = decode_result(text).value();
            CHECK(result_names().task(r.task_id) == command.at(1).to_text());
            CHECK(is_final(r.status) == r.date_done.has_value());
            const auto form =
                version == "celery_5_2_6" ? record_form::stored_naive : record_form::stored;
            CHECK(parse_json(encode_result(r, form).value()).value() == parse_json(text).value());
        });
    CHECK(records == 34);
}

TEST_CASE("every rpc reply of both versions reads and writes equal") {
    const int replies =
        test::for_each_message("rpc_result", [](std::string_view version, std::string_view scenario,
                                                const value& published) {
            CAPTURE(version);
            CAPTURE(scenario);
            const auto text = published["body"].to_text();
            const auto r = decode_result(text).value();
            const auto parts =
                rpc_reply(r, published["properties"]["correlation_id"].to_text()).value();
            CHECK(parse_json(parts.body).value() == parse_json(text).value());
            CHECK(parts.headers == test::headers_of(published));
            CHECK(parts.properties == test::properties_of(published));
        });
    CHECK(replies == 53);
}

TEST_CASE("what result_extended adds is kept, and can be added") {
    const auto& records = *test::vectors()["extended_result"]["records_in_order"].if_array();
    REQUIRE(records.size() == 2);
    for (const auto& record : records) {
        const auto r = decode_result(to_json(record)).value();
        CHECK(r.extended.size() == 6);
        CHECK(parse_json(encode_result(r).value()).value() == record);
    }
    auto r = decode_result(to_json(records[1])).value();
    const auto extended = r.extended;
    r.extended = {};
    message m;
    m.task = "vapp.add";
    m.args = {2};
    m.kwargs = object{{"y", 3}};
    extend(r, m, "w1@host1", "celery");
    CHECK(r.extended == extended);
    m.stamps = object{{"team", "blue"}, {"status", "no"}};
    extend(r, m, "w1@host1", "celery");
    CHECK(r.extended.find("team"));
    CHECK_FALSE(r.extended.find("status"));
}

TEST_CASE("records made by hand are read where Python's reader takes them") {
    CHECK(test::vectors()["hand_made_results"]["redis"].if_array()->size() == 19);
    CHECK(decode_result(R"({"status":"SUCCESS","result":5,"task_id":"1"})").value().outcome ==
          value(5));
    CHECK_FALSE(decode_result(R"({"status":"SUCCESS","result":5,"task_id":"1"})").value().children);
    for (auto* text :
         {R"({"status":"SUCCESS","result":5})", R"({"status":"SUCCESS","task_id":"1"})",
          R"({"result":5,"task_id":"1"})", R"({"status":7,"result":5,"task_id":"1"})",
          R"({"status":"S","result":5,"task_id":"1","date_done":"soon"})",
          R"({"status":"S","result":5,"task_id":"1","children":7})",
          R"({"status":"S","result":5,"task_id":"1","children":[7]})", "not json", "[]", ""})
        CHECK(decode_result(text).error().code == errc::bad_request);
    const auto custom =
        decode_result(R"({"status":"PROGRESS","result":{"done":3},"task_id":"1"})").value();
    CHECK_FALSE(is_final(custom.status));
    CHECK(custom.outcome["done"] == value(3));
}

TEST_CASE("failures made by hand are exceptions, whatever their shape") {
    const auto read = [](const char* text) { return read_exception(parse_json(text).value()); };
    auto e = read(R"({"exc_type":"ValueError","exc_message":["bad"],"exc_module":"builtins"})");
    CHECK(repr(e) == "ValueError('bad')");
    e = read(R"({"exc_type":"ValueError","exc_message":"bad","exc_module":"builtins"})");
    CHECK(e.arguments == array{"bad"});
    e = read(R"({"exc_type":"Odd","exc_message":[],"exc_module":null})");
    CHECK(e.module.empty());
    CHECK(repr(e) == "Odd()");
    CHECK(repr(read(R"("a text")")) == "Exception('a text')");
    CHECK(repr(read("null")) == "Exception()");
    CHECK(read(R"({"exc_message":["bad"]})").type == "Exception");
}

TEST_CASE("exceptions of real records are read and written equal") {
    int exceptions = 0;
    test::for_each_message("rpc_result",
                           [&](std::string_view, std::string_view, const value& published) {
                               const auto r = decode_result(published["body"].to_text()).value();
                               if (!holds_exception(r.status))
                                   return;
                               ++exceptions;
                               CHECK(to_value(read_exception(r.outcome)) == r.outcome);
                           });
    CHECK(exceptions > 10);
}

TEST_CASE("results with parents and groups are read and written equal") {
    auto chained = task("c");
    chained.parent.push_back(task("b"));
    chained.parent[0].parent.push_back(task("a"));
    auto group = task("g");
    group.is_group = true;
    group.members = {task("x"), task("y")};
    for (const auto& r : {task("a"), chained, group}) {
        const auto again = read_result_tuple(to_value(r)).value();
        CHECK(to_value(again) == to_value(r));
        CHECK(again.is_group == r.is_group);
    }
    CHECK(to_json(to_value(chained)) == R"([["c",[["b",[["a",null],null]],null]],null])");
    CHECK(encode_group(group) ==
          R"({"result":[["g",null],[[["x",null],null],[["y",null],null]]]})");
    CHECK(decode_group(encode_group(group)).value().members.size() == 2);
    CHECK(decode_group(R"({"result":[["g",null],null]})").error().code == errc::bad_request);
    CHECK(read_result_tuple(parse_json(R"(["plain",null])").value()).value().id == "plain");
    for (auto* text : {"7", "[]", "[null,null]", R"([["a"],null])", R"([["a",7],null])",
                       R"([["a",null],7])", R"([["",null],null])"})
        CHECK(read_result_tuple(parse_json(text).value()).error().code == errc::bad_request);
}

TEST_CASE("nothing replaces a success") {
    CHECK_FALSE(may_replace(encode_result(minimal(state::success, 5)).value()));
    CHECK(may_replace(encode_result(minimal(state::failure, nullptr)).value()));
    CHECK(may_replace("broken"));
    CHECK(may_replace("[]"));
}

TEST_CASE("a record without id or with an endless state is not written") {
    auto r = minimal(state::success, 5);
    r.task_id.clear();
    CHECK(encode_result(r).error().code == errc::invalid);
    r = minimal(std::string(51, 'S'), 5);
    CHECK(encode_result(r).error().code == errc::invalid);
    CHECK(rpc_reply(r, "1").error().code == errc::invalid);
    CHECK(rpc_reply(minimal("OK", 1), "").value().properties.find("correlation_id")->to_text() ==
          "1");
}

TEST_CASE("keys of results have Celery's names and prefixes") {
    CHECK(result_names().task("1") == "celery-task-meta-1");
    CHECK(result_names("rpfx").task("1") == "rpfx_celery-task-meta-1");
    for (auto* prefix : {"a:", "a_", "a-", "a."})
        CHECK(result_names(prefix).group("g") == std::string(prefix) + "celery-taskset-meta-g");
    CHECK(result_names().chord_results("g") == "celery-taskset-meta-g.j");
    CHECK(result_names().chord_extra("g") == "celery-taskset-meta-g.t");
    CHECK(result_names().chord_size("g") == "celery-taskset-meta-g.s");
}

} // namespace carillon::wire::celery
