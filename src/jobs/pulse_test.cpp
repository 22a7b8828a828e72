#include "jobs/pulse.hpp"

#include <thread>

#include <doctest/doctest.h>

#include "jobs/queue_core.hpp"
#include "jobs/test_support.hpp"

namespace carillon::jobs {

namespace {

using namespace std::chrono_literals;
using testing::soon;

result<void> state_of(const pulse& p) { return p.state("it fails", "it is silent"); }

} // namespace

TEST_CASE("rounds that fail are told of after a while, with what failed last") {
    pulse at_once({0ms, 1h});
    CHECK(state_of(at_once));
    at_once.note_trouble("the disk is full");
    at_once.end_round(false);
    at_once.note_trouble("the disk is gone");
    at_once.end_round(false);
    const auto until = soon();
    while (state_of(at_once) && now() < until)
        std::this_thread::yield();
    CHECK(state_of(at_once).error().code == errc::unavailable);
    CHECK(state_of(at_once).error().message == "it fails: the disk is gone");
    at_once.end_round(true);
    CHECK(state_of(at_once));
    CHECK(at_once.trouble().empty());

    pulse patient({1h, 1h});
    patient.note_trouble("the disk is full");
    CHECK(state_of(patient));
    CHECK(patient.trouble() == "the disk is full");
}

TEST_CASE("a round that does not end is told of, too") {
    pulse p({1h, 0ms});
    const auto until = soon();
    while (state_of(p) && now() < until)
        std::this_thread::yield();
    CHECK(state_of(p).error().message == "it is silent");
}

TEST_CASE("a worker notes that its data folder takes nothing, and when it does again") {
    testing::temporary_folder folder;
    testing::workshop shop(folder.path());
    shop.registry.add("known", [](job_context&, const job_arguments&) -> value { return 1; });
    auto& queue = shop.open();
    auto pool = shop.pool(1);
    const auto& keeping = queue.core()->keeping;
    const auto wait_for = [&keeping](bool trouble) {
        for (const auto until = soon(); keeping.trouble().empty() == trouble && now() < until;)
            std::this_thread::yield();
        return keeping.trouble();
    };
    auto file = db::sqlite::connection::open(folder.path() / "queue.db", {}).value();
    REQUIRE(file.execute("ALTER TABLE workers RENAME TO gone", {}));
    CHECK(wait_for(true).find("workers") != std::string::npos);
    CHECK(queue.ping()); // not for so short a while
    REQUIRE(file.execute("ALTER TABLE gone RENAME TO workers", {}));
    CHECK(wait_for(false).empty());
    const auto id = queue.enqueue("known", {}).value();
    CHECK(queue.wait(id, soon()).value().state == job_state::completed);
}

} // namespace carillon::jobs
