// session: the inside of a client. One connection that is kept up, and the commands under way on it.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "net/redis/client.hpp"
#include "net/redis/connector.hpp"
#include "net/redis/link.hpp"

namespace carillon::net::redis {

class client::impl final : private connector_events,
                           private link_events,
                           public std::enable_shared_from_this<client::impl> {
public:
    impl(loop& on, address where, client_options options, client_events& events, logger& log,
         client_counters& counted);

    void start();
    // Nothing but errc::cancelled is told from here on.
    void end() noexcept;
    bool up() const noexcept { return link_ != nullptr; }
    void send(const wire::redis::command& what, told done, std::chrono::milliseconds timeout);
    void send_push(const wire::redis::command& what);
    std::size_t pending_bytes() const noexcept;
    std::size_t pending_commands() const noexcept { return pending_.size(); }
    const std::string& trouble() const noexcept { return trouble_; }
    const address& where() const noexcept { return where_; }

private:
    struct entry {
        told done; // empty for our own PING
        std::size_t bytes = 0;
        steady_time sent, deadline;
        bool waits = false; // on purpose: its time says nothing
    };
    void queue(const wire::redis::command& what, told done, std::chrono::milliseconds timeout);
    void refuse(told done);
    void tell_refused();

    // connecting
    void connect();
    void connect_later();
    void on_connected(std::shared_ptr<link> made, const std::string& server) noexcept override;
    void on_refused(const failure& why) noexcept override;
    void say(log_level level, std::string_view message, std::initializer_list<log_field> fields);
    void log_loss(const failure& why);

    // connected
    void on_open() noexcept override {} // it was open when it came
    void on_reply(wire::redis::reply got) noexcept override;
    void on_lost(const failure& why) noexcept override { lose(why); }
    void answer(wire::redis::reply got);
    void push(wire::redis::reply got);
    void lose(const failure& why);

    // signs of life
    void watch();
    void on_watch();
    steady_time next_look() const noexcept;
    void ping();

    loop& loop_;
    const address where_;
    const client_options options_;
    client_events& events_;
    logger& log_;
    client_counters& counted_;
    connector connector_;
    std::minstd_rand jitter_;

    std::shared_ptr<link> link_; // while it is up
    std::deque<entry> pending_;
    std::size_t pending_command_bytes_ = 0;
    std::vector<told> refused_;
    std::string trouble_ = "not connected yet";

    bool pushing_ = false;           // subscriptions came over this connection
    std::size_t before_pushing_ = 0; // replies that still come before them
    std::optional<steady_time> pong_deadline_;

    bool ended_ = false;
    bool was_up_ = false;
    bool down_told_ = false;
    bool master_only_ = false; // a replica was met where a master was needed
    bool refusal_logged_ = false;
    int attempts_ = 0; // since it was last up for a while
    steady_time up_since_, down_since_, last_heard_, look_at_;
    std::optional<loop::timer_id> look_, retry_;
};

} // namespace carillon::net::redis
