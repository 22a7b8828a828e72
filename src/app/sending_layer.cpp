#include "app/sending_layer.hpp"

#include "app/layer_settings.hpp"

namespace carillon::app {

result<std::unique_ptr<sending_layer>> sending_layer::start(const settings& config, logger& log,
                                                            metrics& counters) {
    auto made = std::make_unique<sending_layer>();
    if (!layer_on_redis(config)) {
        made->relay_ =
            std::make_unique<relay_layer>(relay_socket_path(config.data_dir), log, &counters);
        return made;
    }
    auto redis = make_redis_layer(config, nullptr, nullptr, log, counters);
    if (!redis)
        return redis.error();
    made->redis_ = *std::move(redis);
    made->redis_->start();
    return made;
}

sending_layer::~sending_layer() = default;

channel_layer& sending_layer::layer() noexcept {
    if (redis_)
        return *redis_;
    return *relay_;
}

bool sending_layer::flush(std::chrono::seconds patience) {
    return redis_ ? redis_->flush(now() + patience) : relay_->flush(now() + patience);
}

} // namespace carillon::app
