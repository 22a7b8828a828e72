#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include <carillon/channels/event.hpp>

using namespace carillon;

namespace {
constexpr auto two_members = only("count", "missing");
constexpr auto one_member = member("count");
constexpr auto verbatim = text_of("value");
constexpr auto missing_text = text_of("count");
} // namespace

TEST_CASE("a projection selects what a client sees") {
    const event e("progress.update", {{"count", 3}, {"value", "{\"a\": 1}"}});
    CHECK(e.text() == R"({"type":"progress.update","count":3,"value":"{\"a\": 1}"})");
    CHECK(e.text(two_members) == R"({"count":3,"missing":null})");
    CHECK(e.text(one_member) == "3");
    CHECK(e.text(verbatim) == "{\"a\": 1}");
    CHECK(e.text(missing_text).empty());
    CHECK(e["count"].to_int() == 3);
    CHECK(e["nothing"].is_null());
    CHECK(event("bare", {}).text() == R"({"type":"bare"})");
}

TEST_CASE("encodings are kept by projection and variant, and shared by copies") {
    const event e("x", {{"count", 1}});
    const event copy = e;
    CHECK(copy.same_as(e));
    CHECK_FALSE(event("x", {{"count", 1}}).same_as(e));
    CHECK_FALSE(e.kept(whole_event, 0));
    const auto frame = shared_frame::copy_of(std::string_view("encoded"));
    e.keep(whole_event, 0, frame);
    CHECK(copy.kept(whole_event, 0).same_as(frame));
    CHECK_FALSE(copy.kept(whole_event, 1));
    CHECK_FALSE(copy.kept(one_member, 0));
}

TEST_CASE("two threads may make and keep encodings of one event at once") {
    for (int round = 0; round < 200; ++round) {
        const event e("x", {{"count", round}});
        std::vector<std::thread> makers;
        for (std::uint32_t who = 0; who < 2; ++who)
            makers.emplace_back([e, who] {
                for (std::uint32_t variant = 0; variant < 8; ++variant) {
                    e.keep(one_member, variant, shared_frame::copy_of(e.text(one_member)));
                    e.keep(whole_event, variant + 8 * who, shared_frame::copy_of(e.text()));
                }
            });
        for (auto& one : makers)
            one.join();
        for (std::uint32_t variant = 0; variant < 8; ++variant)
            REQUIRE(as_text(e.kept(one_member, variant).view()) == std::to_string(round));
        for (std::uint32_t variant = 0; variant < 16; ++variant)
            REQUIRE(as_text(e.kept(whole_event, variant).view()) == e.text());
    }
}
