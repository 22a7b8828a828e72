// redis_broker: the broker of redis:// and its kin, on the keys of Celery's Redis transport.
#pragma once

#include <memory>

#include "jobs/broker/broker.hpp"
#include "net/redis/address.hpp"

namespace carillon::jobs::redis {

// redis://, rediss://, unix:// or redis+sentinel:// with one server. errc::invalid says what is wrong with it, without
// its password.
result<net::redis::address> one_server(std::string_view url);

// docs/protocols/celery-redis.md says what it does differently from Celery, and why peers do not notice.
std::unique_ptr<broker> make_broker(const broker_options& options, net::redis::address where,
                                    logger& log, metrics& counted);

} // namespace carillon::jobs::redis
