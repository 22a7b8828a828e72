// sending_layer: the channel layer of a process that holds no sockets, a worker or a command.
#pragma once

#include <chrono>
#include <memory>

#include "channels/redis/redis_layer.hpp"
#include "channels/relay.hpp"
#include <carillon/app/settings.hpp>

namespace carillon::app {

// With the memory layer its events go to the server on the same data folder, else to Redis.
class sending_layer {
public:
    // `config`, `log` and `counters` outlive it. errc::invalid.
    static result<std::unique_ptr<sending_layer>> start(const settings& config, logger& log,
                                                        metrics& counters);
    // Stops the layer; what was not flushed may be lost.
    ~sending_layer();

    channel_layer& layer() noexcept;
    // Waits until what was sent has left for the server, or Redis has confirmed it. False when it could not.
    bool flush(std::chrono::seconds patience);

private:
    std::unique_ptr<relay_layer> relay_;
    std::unique_ptr<channels::redis_layer> redis_;
};

} // namespace carillon::app
