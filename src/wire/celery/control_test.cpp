#include "wire/celery/control.hpp"

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

void check_same(const message_parts& made, const message_parts& seen) {
    CHECK(made.headers == seen.headers);
    CHECK(made.properties == seen.properties);
    CHECK(parse_json(made.body).value() == parse_json(seen.body).value());
}

message_parts body(std::string_view text) {
    message_parts parts;
    parts.properties.append("content_type", "application/json");
    parts.body = text;
    return parts;
}

// The answers to a method, of both versions.
std::vector<value> answers(std::string_view method) {
    std::vector<value> found;
    std::string ticket;
    for (auto* version : {"celery_5_2_6", "celery_5_6_3"}) {
        std::vector<std::string> tickets;
        for (auto* scenario : {"inspect", "control"}) {
            for (const auto& request : test::messages(version, scenario, "control_request")) {
                const auto r = decode_request(parts_of(request)).value();
                if (r.method == method)
                    tickets.push_back(r.ticket);
            }
            for (const auto& reply : test::messages(version, scenario, "control_reply")) {
                const auto r = decode_reply(parts_of(reply)).value();
                for (const auto& asked : tickets)
                    if (r.ticket == asked)
                        found.push_back(r.content);
            }
        }
    }
    return found;
}

bool is_for_node(std::string_view request, std::string_view node) {
    return is_for(decode_request(body(request)).value(), node).value();
}

} // namespace

TEST_CASE("every request of both versions reads and writes equal") {
    const int count = test::for_each_message(
        "control_request",
        [](std::string_view version, std::string_view scenario, const value& published) {
            CAPTURE(version);
            CAPTURE(scenario);
            const auto parts = parts_of(published);
            const auto r = decode_request(parts).value();
            CHECK(r.wants_reply() == !r.ticket.empty());
            check_same(encode_request(r), parts);
        });
    CHECK(count == 72);
}

TEST_CASE("every reply of both versions reads and writes equal") {
    const int count = test::for_each_message(
        "control_reply",
        [](std::string_view version, std::string_view scenario, const value& published) {
            CAPTURE(version);
            CAPTURE(scenario);
            const auto parts = parts_of(published);
            const auto r = decode_reply(parts).value();
            CHECK(r.node == "w1@host1");
            check_same(encode_reply(r), parts);
        });
    CHECK(count == 60);
}

TEST_CASE("requests and replies through Redis are the same inside their envelope") {
    int requests = 0;
    const redis_names names;
    test::for_each_command("PUBLISH", [&](std::string_view, std::string_view, const array& c) {
        if (c.at(1).to_text() != names.fanout(pidbox_exchange))
            return;
        ++requests;
        const auto e = decode_envelope(c.at(2).to_text()).value();
        const auto r = decode_request(e.parts).value();
        CHECK(e.exchange == pidbox_exchange);
        check_same(encode_request(r), e.parts);
    });
    CHECK(requests == 10);
    int replies = 0;
    test::for_each_command("LPUSH", [&](std::string_view, std::string_view, const array& c) {
        if (!c.at(1).to_text().ends_with(pidbox_reply_exchange))
            return;
        ++replies;
        const auto e = decode_envelope(c.at(2).to_text()).value();
        check_same(encode_reply(decode_reply(e.parts).value()), e.parts);
    });
    CHECK(replies == 2);
}

TEST_CASE("requests that are malformed are refused") {
    for (auto* text : {"", "7", "[]", "{}", R"({"method":7})", R"({"method":"m","arguments":[]})",
                       R"({"method":"m","destination":{}})", "not json"})
        CHECK(decode_request(body(text)).error().code == errc::bad_request);
    CHECK(decode_request(message_parts{{}, {}, R"({"method":"ping"})"}).error().code ==
          errc::unsupported_media);
    const auto least = decode_request(body(R"({"method":"ping"})")).value();
    CHECK_FALSE(least.wants_reply());
    CHECK(least.arguments.empty());
    const auto endless = R"({"method":"m","pattern":")" + std::string(2000, '*') + R"("})";
    CHECK(decode_request(body(endless)).error().code == errc::bad_request);
    for (auto* text : {"", "7", "[]", "{}", R"({"a":1,"b":2})"})
        CHECK(decode_reply(body(text)).error().code == errc::bad_request);
}

TEST_CASE("a request is for the nodes that it names or matches, else for all") {
    CHECK(is_for_node(R"({"method":"ping","destination":null})", "w1@h"));
    CHECK(is_for_node(R"({"method":"ping","destination":["w2@h","w1@h"]})", "w1@h"));
    CHECK(is_for_node(R"({"method":"ping","destination":"w1@h"})", "w1@h"));
    CHECK_FALSE(is_for_node(R"({"method":"ping","destination":["w2@h"]})", "w1@h"));
    CHECK_FALSE(is_for_node(R"({"method":"ping","destination":[]})", "w1@h"));
    CHECK(is_for_node(R"({"method":"ping","pattern":"w*@h?","matcher":"glob"})", "w1@h1"));
    CHECK_FALSE(is_for_node(R"({"method":"ping","pattern":"x*"})", "w1@h"));
    CHECK(is_for_node(R"({"method":"ping","pattern":"x*","destination":["w1@h"]})", "w1@h"));
    const auto regular =
        decode_request(body(R"({"method":"ping","pattern":".*","matcher":"pcre"})"));
    CHECK(is_for(*regular, "w1@h").error().code == errc::unsupported_media);
}

TEST_CASE("glob patterns match as Python's fnmatch does") {
    const auto matches = glob_matches;
    CHECK(matches("", ""));
    CHECK(matches("*", ""));
    CHECK(matches("w?@*", "w1@host"));
    CHECK(matches("*a*b*c", "xxaxxbxxc"));
    CHECK_FALSE(matches("*a*b*c", "xxaxxbxx"));
    CHECK(matches("w[0-9]", "w5"));
    CHECK_FALSE(matches("w[0-9]", "wx"));
    CHECK(matches("w[!0-9]", "wx"));
    CHECK(matches("[]]", "]"));
    CHECK(matches("[!]]", "x"));
    CHECK(matches("[a-]", "-"));
    CHECK(matches("w[", "w["));
    CHECK_FALSE(matches("?", ""));
    CHECK_FALSE(matches("a", "ab"));
    std::string stars;
    for (int i = 0; i < 500; ++i)
        stars += "*a";
    CHECK_FALSE(matches(stars + "b", std::string(1000, 'a'))); // in no time
}

TEST_CASE("answers have the words of Celery's workers") {
    CHECK(answers("ping").at(0) == ok_reply("pong"));
    CHECK(answers("nosuch_command").at(0) == unknown_command_reply("nosuch_command"));
    CHECK(answers("autoscale").at(0) == error_reply("ValueError('Autoscale not enabled')"));
    CHECK(answers("heartbeat").at(0).is_null());
}

TEST_CASE("requests that a worker lists are read and written equal") {
    int seen = 0;
    for (auto* method : {"active", "reserved"})
        for (const auto& answer : answers(method))
            for (const auto& item : *answer.if_array()) {
                CHECK(to_value(read_request_info(item).value()) == item);
                ++seen;
            }
    for (const auto& answer : answers("scheduled"))
        for (const auto& item : *answer.if_array()) {
            CHECK(to_value(read_scheduled_info(item).value()) == item);
            ++seen;
        }
    CHECK(seen >= 4);
    CHECK(read_request_info(value(7)).error().code == errc::bad_request);
    CHECK(read_scheduled_info(value(object{{"eta", "soon"}})).error().code == errc::bad_request);
    CHECK(read_scheduled_info(value(object{{"eta", "2026-01-02T03:04:05"}})).error().code ==
          errc::bad_request);
}

TEST_CASE("queues and statistics have the members that Celery's have") {
    const auto queues = answers("active_queues");
    REQUIRE(queues.size() == 2);
    for (const auto& answer : queues)
        for (const auto& queue : *answer.if_array())
            CHECK(to_value(read_queue_info(queue).value()) == queue);
    CHECK(read_queue_info(value(object())).error().code == errc::bad_request);

    const auto statistics = answers("stats");
    REQUIRE(statistics.size() == 2);
    for (const auto& seen : statistics) {
        const auto written = to_value(read_worker_stats(seen).value());
        for (auto* name : {"total", "pid", "clock", "uptime", "prefetch_count", "rusage"})
            CHECK(written[name] == seen[name]);
        for (auto* name : {"implementation", "max-concurrency", "processes", "max-tasks-per-child",
                           "put-guarded-by-semaphore", "timeouts"})
            if (seen["pool"].find(name)) // 5.2 does not name its pool
                CHECK(written["pool"][name] == seen["pool"][name]);
        for (auto* name :
             {"hostname", "userid", "virtual_host", "port", "transport", "heartbeat", "alternates"})
            CHECK(written["broker"][name] == seen["broker"][name]);
    }
    CHECK(read_worker_stats(value()).error().code == errc::bad_request);
    CHECK(read_worker_stats(value(object{{"clock", "99999999999999999999999"}})).has_value());
}

TEST_CASE("hello carries revoked ids with floats") {
    const auto& vector = test::vectors()["mingle_hello"];
    const auto request = decode_request(body(vector["request_body"].to_text())).value();
    CHECK(request.method == "hello");
    CHECK(read_revoked(*request.arguments.find("revoked")).empty());
    auto reply = body(vector["reply_body"].to_text());
    reply.headers = *vector["reply_headers"].if_object();
    const auto r = decode_reply(reply).value();
    const auto ids = read_revoked(r.content["revoked"]);
    REQUIRE(ids.size() == 1);
    CHECK(hello_reply(ids, 7) == r.content);
    CHECK(to_json(hello_reply({{"a", 5.0}}, 1)) == R"({"revoked":{"a":[5.0,"a"]},"clock":1})");
    CHECK(read_revoked(parse_json(R"({"a":7,"b":[1],"c":["x","c"],"":[1.0,""]})").value()).empty());
}

TEST_CASE("a revoke names one id or many") {
    CHECK(task_ids(object{{"task_id", "a"}}) == std::vector<std::string>{"a"});
    CHECK(task_ids(object{{"task_id", array{"a", 7, "", "b"}}}) ==
          std::vector<std::string>{"a", "b"});
    CHECK(task_ids({}).empty());
}

TEST_CASE("Lamport's clock moves past what it hears") {
    CHECK(advanced(5, 3) == 6);
    CHECK(advanced(5, 9) == 10);
    CHECK(advanced(5, INT64_MAX) == INT64_MAX);
}

} // namespace carillon::wire::celery
