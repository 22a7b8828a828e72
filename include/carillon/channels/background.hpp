// Background consumers: handlers behind hand-named channels, the counterpart of Channels' `runworker`.
//
//     class thumbnails final : public cr::background_consumer {
//     public:
//         static cr::background_handlers events() { return {cr::on_background("image.resize", &thumbnails::resize)}; }
//         void resize(const cr::event& e);
//     };
//     … cr::background<thumbnails>("thumbnails")
//
// An event of another type is dropped, counted (carillon_background_unhandled_total) and logged; so is a reserved type.
// At most once: an event is taken from its channel before it is handled. Work that must not be lost is a job.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/channels/channel_layer.hpp>

namespace carillon {

// The object behind one channel. Lives on one thread of its own, where its handlers run one after the other and may
// block. When a handler throws, that event is lost, the object is dropped with a log line, and the next event makes a
// new one.
class background_consumer {
public:
    background_consumer() = default;
    background_consumer(const background_consumer&) = delete;
    virtual ~background_consumer() = default;

protected:
    channel_layer& layer() const noexcept { return *layer_; }
    const std::string& channel() const noexcept { return channel_; } // that it reads

private:
    friend class background_reader;
    channel_layer* layer_ = nullptr;
    std::string channel_;
};

struct background_handler {
    std::string type; // dots as underscores
    std::function<void(background_consumer&, const event&)> call;
};
using background_handlers = std::vector<background_handler>;

template <class C>
background_handler on_background(std::string_view event_type, void (C::*member)(const event&)) {
    return {handler_name(event_type), [member](background_consumer& self, const event& e) {
                (static_cast<C&>(self).*member)(e);
            }};
}

// One line of a site's table of background consumers.
struct background_route {
    std::string channel; // a channel name without '!'
    std::function<std::unique_ptr<background_consumer>()> make;
    background_handlers handlers;
};
using background_routes = std::vector<background_route>;

// `arguments` are copied and given to each new C.
template <class C, class... Arguments>
background_route background(std::string channel, Arguments... arguments) {
    return {
        std::move(channel),
        [=]() -> std::unique_ptr<background_consumer> { return std::make_unique<C>(arguments...); },
        C::events()};
}

// The threads that read channels: `threads` for each route, each with its own source and its own consumer.
class background_workers {
public:
    // errc::invalid for a malformed channel name, two routes of one channel or no thread; what the layer's
    // receive_from() says; errc::unavailable when the system gives no thread. Everything given outlives the workers.
    static result<std::unique_ptr<background_workers>> start(const background_routes& served,
                                                             std::uint32_t threads,
                                                             channel_layer& layer, logger& log,
                                                             metrics& counted);
    // Ends waiting, lets running handlers finish until the deadline; events that wait in their channels stay there.
    // True when all did; a handler that did not is waited for by the destructor. Not from a handler.
    bool stop(steady_time deadline);
    ~background_workers();

private:
    class impl;
    explicit background_workers(std::unique_ptr<impl> owned);
    std::unique_ptr<impl> impl_;
};

} // namespace carillon
