#include <doctest/doctest.h>

#include <random>
#include <string>

#include "net/outbox.hpp"

using namespace carillon;
using net::outbox;

namespace {

// Takes at most `room` bytes, as a socket would. Returns what it took.
std::string take(outbox& from, std::size_t room) {
    std::array<iovec, outbox::gather_max> parts;
    const auto count = from.gather(parts);
    std::string taken;
    for (std::size_t i = 0; i < count && taken.size() < room; ++i) {
        const auto piece = std::min(parts[i].iov_len, room - taken.size());
        taken.append(static_cast<const char*>(parts[i].iov_base), piece);
    }
    from.consume(taken.size());
    return taken;
}

} // namespace

TEST_CASE("an outbox gives out what was pushed, in order, however it is cut") {
    std::mt19937 dice(7);
    for (int round = 0; round < 200; ++round) {
        outbox box;
        std::string pushed, taken;
        for (int step = 0; step < 300; ++step) {
            if (dice() % 2) {
                const std::string frame(dice() % 40, static_cast<char>('a' + step % 26));
                box.push(shared_frame::copy_of(frame));
                pushed += frame;
            } else {
                taken += take(box, dice() % 200);
            }
            REQUIRE(box.pending_bytes() == pushed.size() - taken.size());
            REQUIRE(box.empty() == (pushed.size() == taken.size()));
        }
        while (!box.empty())
            taken += take(box, 50);
        REQUIRE(taken == pushed);
    }
}

TEST_CASE("dropping keeps the frame of which a part has left, and nothing else") {
    outbox box;
    for (const auto* text : {"first", "second", "third"})
        box.push(shared_frame::copy_of(std::string_view(text)));
    CHECK(take(box, 2) == "fi");
    box.drop_unsent();
    CHECK(box.pending_bytes() == 3);
    box.push(shared_frame::copy_of(std::string_view("!")));
    CHECK(take(box, 100) == "rst!");
    CHECK(box.empty());
    for (const auto* text : {"first", "second"})
        box.push(shared_frame::copy_of(std::string_view(text)));
    box.drop_unsent();
    CHECK(box.empty());
    CHECK(box.pending_bytes() == 0);
}

TEST_CASE("dropping keeps whole frames as far as bytes were promised") {
    outbox box;
    for (const auto* text : {"first", "second", "third"})
        box.push(shared_frame::copy_of(std::string_view(text)));
    CHECK(take(box, 2) == "fi");
    box.drop_unsent(4); // "rst" and one byte of "second"
    CHECK(take(box, 100) == "rstsecond");
    CHECK(box.empty());
}

TEST_CASE("an outbox holds shares only as long as it needs them") {
    const auto frame = shared_frame::copy_of(std::string_view("shared"));
    outbox box;
    for (int i = 0; i < 100; ++i)
        box.push(frame);
    box.push(shared_frame());
    CHECK(box.frames() == 100);
    box.clear();
    CHECK(box.empty());
    CHECK(box.frames() == 0);
    CHECK(frame.size() == 6);
}
