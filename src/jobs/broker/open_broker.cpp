#include <string_view>

#include "jobs/broker/amqp_broker.hpp"
#include "jobs/broker/redis_broker.hpp"

namespace carillon::jobs {

result<std::unique_ptr<broker>> open_broker(const broker_options& options, logger& log,
                                            metrics& counted) {
    const auto scheme = std::string_view(options.url).substr(0, options.url.find("://"));
    if (scheme == "amqp" || scheme == "amqps" || scheme == "pyamqp")
        return open_amqp_broker(options, log, counted);
    return open_redis_broker(options, log, counted);
}

} // namespace carillon::jobs
