#include "wire/celery/events.hpp"

#include <doctest/doctest.h>

#include "wire/celery/envelope.hpp"
#include "wire/celery/test_vectors.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

message_parts parts_of(const value& published) {
    return {test::headers_of(published), test::properties_of(published),
            std::string(published["body"].to_text())};
}

message_parts body(std::string_view text) {
    message_parts parts;
    parts.properties.append("content_type", "application/json");
    parts.body = text;
    return parts;
}

// The first event of that type in a scenario of 5.6.
event seen(std::string_view scenario, std::string_view type) {
    for (const auto& message : test::messages("celery_5_6_3", scenario, "event"))
        for (auto& e : decode_events(parts_of(message)).value())
            if (e.type == type)
                return e;
    FAIL("no such event");
    return {};
}

message add_message() {
    const auto m = test::messages("celery_5_6_3", "add", "task").at(0);
    return decode(test::headers_of(m), test::properties_of(m), m["body"].to_text()).value();
}

} // namespace

TEST_CASE("every event message of both versions reads and writes equal") {
    const int count = test::for_each_message(
        "event", [](std::string_view version, std::string_view scenario, const value& published) {
            CAPTURE(version);
            CAPTURE(scenario);
            const auto parts = parts_of(published);
            const auto events = decode_events(parts).value();
            const bool list = parse_json(parts.body).value().is_array();
            const auto written = list ? encode_events(events) : encode_event(events.at(0));
            CHECK(written.headers == parts.headers);
            CHECK(written.properties == parts.properties);
            CHECK(parse_json(written.body).value() == parse_json(parts.body).value());
            CHECK(published["routing_key"].to_text() ==
                  (list ? std::string(event_list_routing_key) : event_routing_key(events[0].type)));
        });
    CHECK(count == 148);
}

TEST_CASE("events through Redis are the same inside their envelope") {
    int count = 0;
    const redis_names names;
    test::for_each_command("PUBLISH", [&](std::string_view, std::string_view, const array& c) {
        const auto e = decode_envelope(c.at(2).to_text()).value();
        if (e.exchange != event_exchange)
            return;
        ++count;
        CHECK(c.at(1).to_text() == names.fanout(event_exchange, e.routing_key));
        const auto events = decode_events(e.parts).value();
        CHECK_FALSE(events.empty());
    });
    CHECK(count == 10);
}

TEST_CASE("the fields of each type are those that Celery's worker sends") {
    const auto m = add_message();
    CHECK(received_fields(m) == seen("add", "task-received").fields);
    CHECK(started_fields(m.id) == seen("add", "task-started").fields);
    const auto succeeded = seen("add", "task-succeeded");
    CHECK(succeeded_fields(m.id, 5, succeeded.fields.find("runtime")->to_double()) ==
          succeeded.fields);
    const auto failed = seen("fail", "task-failed");
    CHECK(failed_fields(failed.fields.find("uuid")->to_text(), "ValueError('boom')",
                        failed.fields.find("traceback")->to_text()) == failed.fields);
    const auto retried = seen("retry", "task-retried");
    CHECK(retried_fields(retried.fields.find("uuid")->to_text(),
                         retried.fields.find("exception")->to_text(),
                         retried.fields.find("traceback")->to_text()) == retried.fields);
    const auto revoked = seen("terminate", "task-revoked");
    CHECK(revoked_fields(revoked.fields.find("uuid")->to_text(),
                         revoked.fields.find("terminated")->to_bool(), std::nullopt,
                         false) == revoked.fields);
    const auto online = seen("startup", "worker-online");
    worker_state s;
    s.software = "py-celery";
    s.version = "5.6.3";
    const auto& load = *online.fields.find("loadavg")->if_array();
    s.load = {load.at(0).to_double(), load.at(1).to_double(), load.at(2).to_double()};
    CHECK(fields_of(s) == online.fields);
    CHECK(rejected_fields("1", true) == object{{"uuid", "1"}, {"requeue", true}});
}

TEST_CASE("the event of a sender is the one that Celery's client sends") {
    const auto& vector = test::vectors()["task_sent_event"];
    const auto e = read_event(vector["body"]).value();
    CHECK(to_value(e) == vector["body"]);
    CHECK(event_routing_key(e.type) == vector["amqp_routing_key"].to_text());
    message m;
    m.task = "vapp.add";
    m.id = "b8bdfe1d-13e1-4178-bfaa-620dbe6bf902";
    m.args = {2};
    m.kwargs = object{{"y", 3}};
    CHECK(sent_fields(m, "celery", "", "celery") == e.fields);
}

TEST_CASE("events that are malformed are refused, none is too few") {
    for (auto* text : {"", "7", "[7]", "{}", R"({"type":7})", R"({"type":"t","clock":"x"})",
                       R"([{"type":"t"},{}])"})
        CHECK(decode_events(body(text)).error().code == errc::bad_request);
    CHECK(decode_events(body("[]")).value().empty());
    CHECK(decode_events(body(R"({"type":"t"})")).value().size() == 1);
    CHECK(decode_events(message_parts{{}, {}, "[]"}).error().code == errc::unsupported_media);
    std::string many = "[1";
    for (std::size_t i = 0; i < events_max; ++i)
        many += ",1";
    CHECK(decode_events(body(many + "]")).error().code == errc::too_large);
}

} // namespace carillon::wire::celery
