// redis_watch: hears when a key changes, without polling and without taking anything. Redis' client-side caching is
// used for it: a key that was looked at is named to the listening connection when it changes, once.
//
// Why not BRPOP, as Celery: it takes the element before anybody can remember it. Blocking moves (BLMOVE) need a
// connection for each list.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jobs/broker/redis_context.hpp"

namespace carillon::jobs::redis {

inline constexpr std::string_view invalidation_channel = "__redis__:invalidate";

class watch {
public:
    // `changed` is called when it begins or ends to work: everybody looks again.
    watch(context& in, std::function<void()> changed) : in_(in), changed_(std::move(changed)) {}

    // False: whoever waits has to poll.
    bool works() const noexcept { return works_; }
    // How many of the keys exist. If it works, a change of any of them from now on is told by the listening connection.
    void look(const std::vector<std::string>& keys, std::function<void(std::int64_t exist)> told);

    // The listening connection's id among the server's clients; 0: it is lost.
    void listener(std::int64_t id);
    void on_up();
    void on_down();

private:
    void enable();
    context& in_;
    std::function<void()> changed_;
    std::int64_t listener_ = 0;
    bool up_ = false, works_ = false, refused_ = false;
};

} // namespace carillon::jobs::redis
