// Workflows over a broker: chains, groups, chords, and what follows a failure.
#include "jobs/broker_store.hpp"

#include <stdexcept>

#include <doctest/doctest.h>

#include "jobs/test_station.hpp"

namespace carillon {

namespace celery = wire::celery;
using testing::add;
using testing::impatient;
using testing::journal;
using testing::soon;
using testing::station;

TEST_CASE("a chain passes each result on, its records name parents and children") {
    station here;
    here.registry.add("math.add", add);
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent = queue
                          .enqueue(call("math.add", array{2, 3})
                                       .id("first")
                                       .then(call("math.add", array{10}).id("second"))
                                       .then(call("math.add", array{100})))
                          .value();
    CHECK(queue.wait(sent.id, soon()).value().result == value(115));
    REQUIRE(here.all_acknowledged());
    const auto first = here.records->last("first"), second = here.records->last("second");
    CHECK(second.parent_id == "first");
    CHECK(here.records->last(sent.id).parent_id == "second");
    REQUIRE(first.children);
    REQUIRE(first.children->size() == 1);
    CHECK(first.children->front().id == "second");
}

TEST_CASE("a step that fails takes the later ones with it, and its errback hears its id") {
    station here;
    auto options = impatient();
    options.attempts_max = 1;
    here.registry.add("math.add", add);
    here.registry.add(
        "boom", [](job_context&, const job_arguments&) -> value { throw std::runtime_error("x"); },
        options);
    journal<std::string> heard;
    here.registry.add("report", [&](job_context&, const job_arguments& a) -> value {
        heard.add(std::string(a.get(0, "id").to_text()));
        return nullptr;
    });
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent = queue
                          .enqueue(call("math.add", array{1})
                                       .then(call("boom").id("middle").on_error(call("report")))
                                       .then(call("math.add", array{100})))
                          .value();
    const auto record = queue.wait(sent.id, soon()).value();
    CHECK(record.state == job_state::failed);
    CHECK(record.error.find("x") != std::string::npos);
    REQUIRE(heard.wait_count(1));
    CHECK(heard.all()[0] == "middle");
}

TEST_CASE("what follows a group gets the results of its members in order") {
    station here;
    here.registry.add("math.add", add);
    here.registry.add(
        "total", [](job_context&, const job_arguments& a) -> value { return a.get(0, "all"); });
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent =
        queue
            .enqueue(group({call("math.add", array{1, 1}), call("math.add", array{2, 2}),
                            call("math.add", array{3, 3})})
                         .then(call("total")))
            .value();
    CHECK(queue.wait(sent.id, soon()).value().result == value(array{2, 4, 6}));
    REQUIRE(here.all_acknowledged());
    CHECK(here.records->chord_parts.empty());

    const auto bare =
        queue.enqueue(group({call("math.add", array{1}), call("math.add", array{2})})).value();
    REQUIRE(bare.members.size() == 2);
    CHECK(queue.wait(bare.members[1], soon()).value().result == value(2));
}

TEST_CASE("a member that fails fails what follows its group") {
    station here;
    auto options = impatient();
    options.attempts_max = 1;
    here.registry.add("math.add", add);
    here.registry.add(
        "boom", [](job_context&, const job_arguments&) -> value { throw std::runtime_error("x"); },
        options);
    auto& queue = here.open();
    auto pool = here.pool();
    const auto sent =
        queue
            .enqueue(
                group({call("math.add", array{1}), call("boom").id("bad")}).then(call("math.add")))
            .value();
    CHECK(queue.wait(sent.id, soon()).value().state == job_state::failed);
    const auto raised = celery::read_exception(here.records->last(sent.id).outcome);
    CHECK(raised.type == "ChordError");
    CHECK(raised.arguments[0].to_text().find("bad") != std::string::npos);
}

} // namespace carillon
