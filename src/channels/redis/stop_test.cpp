// A Redis layer may be stopped at any moment: while it connects, restores memberships, or is ready.

#include <doctest/doctest.h>

#include "channels/redis/test_node.hpp"

using namespace carillon;
using namespace carillon::channels::redis::test;

namespace {

// Looks at the clock until the moment has come: it shall fall between any two steps of the other thread.
void spin_until(steady_time moment) {
    while (now() < moment)
        std::this_thread::yield();
}

} // namespace

TEST_CASE("a layer that is stopped while it starts leaves nothing behind") {
    if (no_redis())
        return;
    server redis;
    for (const std::string scheme : {"redis", "redis+pubsub"}) {
        const auto url = scheme + redis.url().substr(redis.url().find(':'));
        for (int step = 0; step < 100; ++step) {
            CAPTURE(step);
            node here(url, {}, 1);
            listener who;
            here.open(who);
            here.on(*who.home,
                    [&](net::shard&) { CHECK(here.layer->group_add("g", who.channel)); });
            spin_until(now() + step * std::chrono::microseconds(20));
            const bool in_haste = step % 2 == 1;
            here.layer->stop(std::chrono::seconds(in_haste ? 0 : 1));
            here.close(who);
            if (in_haste)
                ask(redis.url(), {"FLUSHALL"});
            CHECK(ask(redis.url(), {"KEYS", "*"}).items.empty());
        }
    }
}
