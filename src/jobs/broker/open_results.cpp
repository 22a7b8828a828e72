#include "jobs/broker/redis_broker.hpp"
#include "jobs/broker/redis_results.hpp"
#include "jobs/broker/rpc_results.hpp"

namespace carillon::jobs {

result<std::unique_ptr<result_store>> open_results(const result_options& options, broker* through,
                                                   logger& log, metrics& counted) {
    if (options.url == "none:")
        return make_no_results();
    if (options.url == "rpc:" || options.url.starts_with("rpc://")) {
        if (!through)
            return failure{errc::invalid,
                           "rpc:// results travel through a broker, and there is none"};
        return make_rpc_results(options, *through, log);
    }
    auto where = redis::one_server(options.url);
    if (!where)
        return failure{errc::invalid, "results: " + where.error().message +
                                          " (results are kept in redis://, rpc:// or none:)"};
    return redis::make_results(options, *std::move(where), log, counted);
}

} // namespace carillon::jobs
