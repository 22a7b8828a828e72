// connector: from an address to a connection that is signed in. Asks Sentinels, looks names up, tries each address.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.hpp"
#include "net/redis/address.hpp"
#include "net/redis/link.hpp"
#include "net/resolver.hpp"
#include "wire/redis/reply.hpp"
#include <carillon/base/result.hpp>

namespace carillon::net::redis {

// From inside either call the connector may be started again, or destroyed.
class connector_events {
public:
    // Signed in, the database selected, nothing under way. The link tells the connector until it is attended.
    virtual void on_connected(std::shared_ptr<link> made, const std::string& server) noexcept = 0;
    // errc::unauthorized: the server was reached and refuses the user or password. errc::invalid: the address cannot
    // work as it stands. Else errc::unavailable.
    virtual void on_refused(const failure& why) noexcept = 0;

protected:
    ~connector_events() = default;
};

// One attempt at a time, on the loop's thread.
class connector final : private link_events {
public:
    // `timeout` is for one server, from the look-up of its name to its last answer; a Sentinel has at most a second.
    connector(loop& on, const address& where, std::chrono::milliseconds timeout,
              connector_events& events);
    connector(const connector&) = delete;
    ~connector();

    // Begins anew, from the first Sentinel or from the one that answered last. With `master_only` a replica is refused;
    // through Sentinels it always is.
    void start(bool master_only);
    void stop() noexcept { drop(); } // tells nothing any more

private:
    enum class stage : std::uint8_t { sentinel, server };
    enum class step : std::uint8_t { sign_in, name, select, role, ping, find_master };
    void next_sentinel();
    void reach(stage next, endpoint to);
    void failed(failure why);
    void drop() noexcept;
    void finish();
    void ask(step what, const wire::redis::command& how);
    std::optional<failure> judge(step what, const wire::redis::reply& got);
    failure explain(const wire::redis::reply& error) const;
    void master_found(const wire::redis::reply& named);
    const std::string& user() const noexcept; // of the server that is asked now
    std::string target() const;

    void on_open() noexcept override;
    void on_reply(wire::redis::reply got) noexcept override;
    void on_lost(const failure& why) noexcept override;

    loop& loop_;
    const address& where_;
    const std::chrono::milliseconds timeout_;
    connector_events& events_;
    resolver names_;

    bool master_only_ = false;
    stage stage_ = stage::server;
    endpoint to_;
    std::size_t first_sentinel_ = 0, sentinels_tried_ = 0;
    failure problem_; // the last one
    std::shared_ptr<link> link_;
    std::deque<step> asked_;
    std::optional<loop::timer_id> deadline_timer_;
};

// "127.0.0.1:6379", "[::1]:6379" or the path of a unix socket.
std::string name_of(const endpoint& where);

} // namespace carillon::net::redis
