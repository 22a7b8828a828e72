#include <doctest/doctest.h>

#include "jobs/broker/amqp_test.hpp"

using namespace carillon;
using namespace carillon::jobs;
using namespace carillon::jobs::amqp::test;
using namespace std::chrono_literals;

TEST_CASE("What is published is confirmed, delivered with all its parts, and gone once it is acknowledged") {
    if (no_rabbitmq())
        return;
    peer one;
    one.consume({"first"});
    auto parts = task_parts("a-1");
    REQUIRE(one.publish("first", parts));
    const auto got = one.next();
    CHECK(got.queue == "first");
    CHECK(got.exchange == "");
    CHECK(got.routing_key == "first");
    CHECK(!got.redelivered);
    CHECK(got.parts.body == parts.body);
    CHECK(got.parts.headers == parts.headers);
    CHECK(got.parts.properties == parts.properties);
    one.at->ack(got.tag);
    CHECK(one.wait_depth("first", 0));
}
