// redis_results: results in Redis, as Celery's redis:// result store keeps them.
#pragma once

#include <memory>

#include "jobs/broker/result_store.hpp"
#include "net/redis/address.hpp"

namespace carillon::jobs::redis {

std::unique_ptr<result_store> make_results(const result_options& options, net::redis::address where,
                                           logger& log, metrics& counted);

} // namespace carillon::jobs::redis
