#include "wire/celery/envelope.hpp"

#include <doctest/doctest.h>

#include "wire/celery/test_vectors.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery {

namespace {

const std::string sep = "\x06\x16";

const object& good_element() {
    static const object element = *parse_json(R"({"body":"W1syLCAzXSwge30sIHt9XQ==",
        "content-encoding":"utf-8","content-type":"application/json",
        "headers":{"task":"vapp.add","id":"1"},
        "properties":{"delivery_mode":2,"delivery_info":{"exchange":"","routing_key":"celery"},
            "priority":0,"body_encoding":"base64","delivery_tag":"tag"}})")
                                       .value()
                                       .if_object();
    return element;
}

object without(object from, std::string_view name) {
    from.erase(name);
    return from;
}

object with_properties(const std::function<void(object&)>& change) {
    auto element = good_element();
    change(*element.find("properties")->if_object());
    return element;
}

failure refusal(const object& element) {
    const auto read = decode_envelope(to_json(element));
    REQUIRE_FALSE(read);
    return read.error();
}

// What is read and written again has the same members as before.
void check_element(std::string_view text) {
    const auto e = decode_envelope(text).value();
    const auto written = encode_envelope(e).value();
    CHECK(parse_json(written).value() == parse_json(text).value());
}

} // namespace

TEST_CASE("every list element and every fanout message of both versions reads and writes equal") {
    const auto check = [](std::string_view version, std::string_view scenario,
                          const array& command) {
        CAPTURE(version);
        CAPTURE(scenario);
        check_element(command.at(2).to_text());
    };
    CHECK(test::for_each_command("LPUSH", check) == 33);
    CHECK(test::for_each_command("PUBLISH", check) == 20);
}

TEST_CASE("the message inside an envelope is the one that was sent") {
    int tasks = 0;
    test::for_each_command("LPUSH", [&](std::string_view, std::string_view, const array& command) {
        const auto e = decode_envelope(command.at(2).to_text()).value();
        if (!e.parts.headers.find("task"))
            return; // a reply of remote control
        ++tasks;
        CHECK(e.exchange.empty());
        CHECK(e.routing_key == "celery");
        CHECK_FALSE(e.redelivered);
        const auto m = decode(e.parts.headers, e.parts.properties, e.parts.body).value();
        CHECK(m.correlation_id == m.id);
        CHECK(m.delivery_mode == 2);
        CHECK(redis_names().queue("celery", m.priority) == command.at(1).to_text());
    });
    CHECK(tasks == 31);
}

TEST_CASE("entries of unacknowledged deliveries are read, and restored with both flags") {
    const int count = test::for_each_command("HSET", [](std::string_view, std::string_view,
                                                        const array& command) {
        const auto text = command.at(3).to_text();
        const auto entry = decode_unacked(text).value();
        CHECK(entry.exchange.empty());
        CHECK(entry.routing_key == "celery");
        CHECK(entry.delivered.delivery_tag == command.at(2).to_text());
        const auto again = encode_unacked(encode_envelope(entry.delivered).value(), "", "celery");
        CHECK(parse_json(again).value() == parse_json(text).value());

        const auto restored = parse_json(restored_element(entry.delivered).value()).value();
        CHECK(restored["headers"]["redelivered"] == value(true));
        CHECK(restored["properties"]["delivery_info"]["redelivered"] == value(true));
        const auto e = decode_envelope(to_json(restored)).value();
        CHECK(e.redelivered);
        CHECK(decode(e.parts.headers, e.parts.properties, e.parts.body).value().redelivered);
    });
    CHECK(count == 10);
}

TEST_CASE("elements that stop Celery's worker are refused, each with its reason") {
    CHECK(refusal(without(good_element(), "properties")).message ==
          "envelope: `properties` is missing or no object");
    CHECK(refusal(without(good_element(), "body")).message ==
          "envelope: `body` is missing or no text");
    CHECK(refusal(with_properties([](object& p) { p.erase("delivery_tag"); })).message ==
          "envelope: `properties.delivery_tag` is missing or no text");
    CHECK(refusal(with_properties([](object& p) { p.erase("delivery_info"); })).message ==
          "envelope: `properties.delivery_info` is missing or no object");
    CHECK(refusal(with_properties([](object& p) { p.set("delivery_info", object()); })).message ==
          "envelope: `delivery_info.exchange` is missing or no text");
    CHECK(refusal(with_properties([](object& p) {
              p.set("delivery_info", object{{"exchange", ""}});
          })).message == "envelope: `delivery_info.routing_key` is missing or no text");
    CHECK(refusal(with_properties([](object& p) { p.set("body_encoding", "rot13"); })).code ==
          errc::unsupported_media);
    auto element = good_element();
    element.set("body", "W1sy?");
    CHECK(refusal(element).message == "envelope: the body is no base64");
    element = good_element();
    element.set("headers", array());
    CHECK(refusal(element).message == "envelope: `headers` is no object");
    for (auto* text : {"{not json", "[]", "null", "", "7"})
        CHECK(decode_envelope(text).error().code == errc::bad_request);
    std::string deep(100, '[');
    deep.append(100, ']');
    CHECK(decode_envelope(deep).error().code == errc::too_large);
}

TEST_CASE("elements that Celery's worker accepts are accepted") {
    CHECK(decode_envelope(to_json(with_properties([](object& p) { p.set("delivery_tag", 7); })))
              .value()
              .delivery_tag == "7");
    CHECK(decode_envelope(to_json(with_properties([](object& p) { p.erase("priority"); }))));
    CHECK(
        decode_envelope(to_json(without(good_element(), "headers"))).value().parts.headers.empty());
    for (const auto& encoding : {value("utf-8"), value()}) {
        auto element = with_properties([&](object& p) { p.set("body_encoding", encoding); });
        element.set("body", "[[2,3],{},{}]");
        CHECK(decode_envelope(to_json(element)).value().parts.body == "[[2,3],{},{}]");
    }
    // The message inside is refused then, with its own reason.
    const auto no_type = decode_envelope(to_json(without(good_element(), "content-type"))).value();
    CHECK(decode(no_type.parts.headers, no_type.parts.properties, no_type.parts.body)
              .error()
              .message == "no content type; expected application/json");
}

TEST_CASE("broken entries of unacknowledged deliveries are refused") {
    for (auto* text : {"", "{}", "[]", R"([{},"",""])", R"([7,"","celery"])", R"([{},""])"})
        CHECK(decode_unacked(text).error().code == errc::bad_request);
}

TEST_CASE("an envelope without delivery tag is not written") {
    auto e = decode_envelope(to_json(good_element())).value();
    e.delivery_tag.clear();
    CHECK(encode_envelope(e).error().code == errc::invalid);
    CHECK(restored_element(e).error().code == errc::invalid);
}

TEST_CASE("unknown properties and delivery information survive") {
    auto element = with_properties([](object& p) {
        p.set("origin", "gen1@host1");
        p.find("delivery_info")->if_object()->set("hops", 2);
    });
    check_element(to_json(element));
}

TEST_CASE("priorities have steps, and a smaller number is served first") {
    const redis_names names;
    const std::int64_t steps[] = {0, 0, 0, 3, 3, 3, 6, 6, 6, 9};
    for (std::int64_t priority = 0; priority < 10; ++priority)
        CHECK(names.step_of(priority) == steps[priority]);
    CHECK(names.step_of(-5) == 0);
    CHECK(names.step_of(255) == 9);
    CHECK(names.queue("celery") == "celery");
    CHECK(names.queue("celery", 5) == "celery" + sep + "3");
    const std::string_view two[] = {"a", "b"};
    CHECK(names.queues(two) == std::vector<std::string>{"a", "b", "a" + sep + "3", "b" + sep + "3",
                                                        "a" + sep + "6", "b" + sep + "6",
                                                        "a" + sep + "9", "b" + sep + "9"});
    redis_names::options o;
    o.steps = {2, 4};
    o.separator = ":";
    CHECK(redis_names(o).queue("q", 9) == "q:4");
    CHECK(redis_names(o).queue("q", 1) == "q:4"); // as kombu's own arithmetic has it
    o.steps = {};
    CHECK(redis_names(o).queue("q", 9) == "q");
}

TEST_CASE("names of keys and channels are those of kombu, with and without a prefix") {
    const redis_names plain;
    CHECK(plain.binding("celery") == "_kombu.binding.celery");
    CHECK(plain.binding_member({"celery", "", "celery"}) == "celery" + sep + sep + "celery");
    CHECK(plain.fanout("celeryev", "worker.#") == "/0.celeryev/worker.*");
    CHECK(plain.fanout("celery.pidbox") == "/0.celery.pidbox");
    redis_names::options o;
    o.keyprefix = "pfx:";
    const redis_names prefixed(o);
    const auto& listed = *test::vectors()["redis_keyprefix"]["names"].if_array();
    CHECK(prefixed.queue("celery") == listed[0].to_text());
    CHECK(prefixed.queue("celery", 3) == "pfx:celery" + sep + "3");
    CHECK(listed[2].to_text().starts_with(prefixed.binding("celery") + " "));
    CHECK(prefixed.unacked() == listed[3].to_text());
    CHECK(prefixed.unacked_index() == listed[4].to_text());
    CHECK(prefixed.unacked_mutex() == listed[5].to_text());
    CHECK(listed[6].to_text().starts_with(prefixed.fanout("celery.pidbox") + " "));
    CHECK(prefixed.fanout("celeryev", "worker.heartbeat") == listed[7].to_text());
}

TEST_CASE("members of a binding are read back") {
    const redis_names names;
    const auto b = names.read_binding_member("k" + sep + "p.*" + sep + "q").value();
    CHECK(b.routing_key == "k");
    CHECK(b.pattern == "p.*");
    CHECK(b.queue == "q");
    for (const auto& text : {std::string(), "k" + sep + "q", "a" + sep + "b" + sep + "c" + sep})
        CHECK(names.read_binding_member(text).error().code == errc::bad_request);
}

} // namespace carillon::wire::celery
