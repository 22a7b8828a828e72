#include <doctest/doctest.h>

#include <vector>

#include "net/io_thread.hpp"

using namespace carillon;
using net::loop;
using net::outgoing;

TEST_CASE("what a turn of an I/O thread gathers for another loop leaves at the turn's end, in "
          "order, before what was deferred later") {
    loop target; // outlives the thread that hands to it
    net::io_thread io;
    io.start();
    std::vector<int> order;
    io.events().post([&] {
        auto& gathering = *outgoing::current();
        for (int i = 1; i <= 3; ++i)
            gathering.add(target, net::as_posted([&order, i] { order.push_back(i); }));
        io.events().defer([&] { target.post([&] { order.push_back(4); }); });
        target.post([&] { order.push_back(0); });
    });
    // a later turn, which has to be sent too
    io.events().post([&] {
        io.events().at(now() + std::chrono::milliseconds(1), [&] {
            outgoing::current()->add(target, net::as_posted([&] {
                                         order.push_back(5);
                                         target.stop();
                                     }));
        });
    });
    target.run();
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("a thread gathers for others only where it says so") {
    CHECK(outgoing::current() == nullptr);
    outgoing mine;
    {
        const outgoing::here gathers(mine);
        CHECK(outgoing::current() == &mine);
    }
    CHECK(outgoing::current() == nullptr);
}
