#include "net/redis/client.hpp"

#include <utility>

#include "net/redis/session.hpp"

namespace carillon::net::redis {

client_counters::client_counters(metrics& counted)
    : commands(counted.add(metric_kind::counter, "carillon_redis_commands_total",
                           "Commands sent to Redis, without those that wait for events")),
      micros(counted.add(metric_kind::counter, "carillon_redis_command_microseconds_total",
                         "Microseconds from sending a command to its reply, summed")),
      errors(counted.add(metric_kind::counter, "carillon_redis_errors_total",
                         "Error replies of Redis")),
      reconnects(counted.add(metric_kind::counter, "carillon_redis_reconnects_total",
                             "Connections to Redis made again after a loss")),
      connection_losses(counted.add(metric_kind::counter, "carillon_redis_connection_losses_total",
                                    "Connections to Redis that were lost")) {}

client::client(loop& on, address where, client_options options, client_events& events, logger& log,
               client_counters& counted)
    : impl_(
          std::make_shared<impl>(on, std::move(where), std::move(options), events, log, counted)) {}

client::~client() { impl_->end(); }

void client::start() { impl_->start(); }

bool client::up() const noexcept { return impl_->up(); }

void client::send(const wire::redis::command& what, told done, std::chrono::milliseconds timeout) {
    impl_->send(what, std::move(done), timeout);
}

void client::send_push(const wire::redis::command& what) { impl_->send_push(what); }

std::size_t client::pending_bytes() const noexcept { return impl_->pending_bytes(); }

std::size_t client::pending_commands() const noexcept { return impl_->pending_commands(); }

const std::string& client::trouble() const noexcept { return impl_->trouble(); }

const address& client::where() const noexcept { return impl_->where(); }

} // namespace carillon::net::redis
