#include <carillon/channels/background.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include <fmt/format.h>

namespace carillon {

namespace {

struct channel_counters {
    channel_counters(metrics& counted, const std::string& channel)
        : handled(counted.add(metric_kind::counter, "carillon_background_handled_total",
                              "Events that a background consumer handled", {{"channel", channel}})),
          failed(counted.add(metric_kind::counter, "carillon_background_failed_total",
                             "Events lost because a background consumer threw",
                             {{"channel", channel}})),
          unhandled(counted.add(metric_kind::counter, "carillon_background_unhandled_total",
                                "Events dropped because the background consumer has no handler "
                                "for their type",
                                {{"channel", channel}})) {}
    counter& handled;
    counter& failed;
    counter& unhandled;
};

// Lets whoever stops wait for the readers.
struct finish_line {
    std::mutex guard;
    std::condition_variable changed;
    std::size_t running = 0;

    void one_done() {
        std::lock_guard lock(guard);
        --running;
        changed.notify_all();
    }
    bool wait_until(steady_time deadline) {
        std::unique_lock lock(guard);
        return changed.wait_until(lock, deadline, [this] { return running == 0; });
    }
};

} // namespace

// One thread's work: an event after the other from one source to one consumer.
class background_reader {
public:
    background_reader(const background_route& served, std::unique_ptr<channel_source> from,
                      channel_layer& layer, logger& log, metrics& counted)
        : served_(served), from_(std::move(from)), layer_(layer), log_(log),
          counters_(counted, served.channel) {}

    void run() {
        constexpr std::chrono::hours long_time{1}; // then it waits anew
        while (!stopping_)
            if (const auto next = from_->receive(now() + long_time))
                handle(*next);
        consumer_.reset();
    }
    void stop() {
        stopping_ = true;
        from_->interrupt();
    }

private:
    void handle(const event& e) {
        const auto found =
            std::ranges::find(served_.handlers, e.handler(), &background_handler::type);
        // "websocket.close" would find a handler of "websocket_close"
        if (found == served_.handlers.end() || is_reserved_event_type(e.type()))
            return unhandled(e);
        try {
            found->call(present_consumer(), e);
            counters_.handled.add();
        } catch (...) {
            failed(e, std::current_exception());
        }
    }

    void failed(const event& e, const std::exception_ptr& thrown) {
        std::string why;
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& known) {
            why = known.what();
        } catch (...) {
            why = "an exception that is no std::exception";
        }
        counters_.failed.add();
        log_.error(
            "a background consumer failed: its event is lost, the next one gets a new object",
            {{"channel", served_.channel}, {"type", e.type()}, {"error", why}});
        consumer_.reset();
    }

    background_consumer& present_consumer() {
        if (!consumer_) {
            auto made = served_.make();
            made->layer_ = &layer_;
            made->channel_ = served_.channel;
            consumer_ = std::move(made);
        }
        return *consumer_;
    }

    // A sender that is wrong is wrong many times: one line a second is enough.
    void unhandled(const event& e) {
        counters_.unhandled.add();
        ++unhandled_since_line_;
        const auto present = now();
        if (next_line_ > present)
            return;
        next_line_ = present + std::chrono::seconds(1);
        log_.warning("event dropped: the background consumer has no handler for its type",
                     {{"channel", served_.channel},
                      {"type", e.type()},
                      {"events", std::exchange(unhandled_since_line_, 0)}});
    }

    const background_route& served_;
    const std::unique_ptr<channel_source> from_;
    channel_layer& layer_;
    logger& log_;
    channel_counters counters_;
    std::unique_ptr<background_consumer> consumer_;
    std::atomic<bool> stopping_{false};
    steady_time next_line_{};
    std::int64_t unhandled_since_line_ = 0;
};

class background_workers::impl {
public:
    ~impl() {
        stop(now());
        for (auto& one : threads_)
            one.join();
    }

    result<void> prepare(const background_routes& served, std::uint32_t threads,
                         channel_layer& layer, logger& log, metrics& counted) {
        if (threads == 0)
            return failure{errc::invalid, "background consumers need 1 thread or more"};
        for (auto one = served.begin(); one != served.end(); ++one) {
            if (std::find_if(served.begin(), one, [&](const background_route& earlier) {
                    return earlier.channel == one->channel;
                }) != one)
                return failure{
                    errc::invalid,
                    fmt::format("two background consumers read the channel '{}'", one->channel)};
            if (!is_channel_name(one->channel) || one->channel.find('!') != std::string::npos)
                return failure{errc::invalid, fmt::format("'{}' is no name of a channel for "
                                                          "background consumers: ASCII letters, "
                                                          "digits, - _ . and no !",
                                                          one->channel)};
            for (std::uint32_t i = 0; i < threads; ++i) {
                auto from = layer.receive_from(one->channel);
                if (!from)
                    return from.error();
                readers_.push_back(std::make_unique<background_reader>(*one, *std::move(from),
                                                                       layer, log, counted));
            }
        }
        return {};
    }

    result<void> run() {
        for (auto& one : readers_) {
            {
                std::lock_guard lock(finish_.guard);
                ++finish_.running;
            }
            try {
                threads_.emplace_back([this, &reader = *one] {
                    reader.run();
                    finish_.one_done();
                });
            } catch (const std::system_error& refused) {
                finish_.one_done();
                return failure{errc::unavailable,
                               fmt::format("the system gives no thread for a background consumer: "
                                           "{}",
                                           refused.what())};
            }
        }
        return {};
    }

    bool stop(steady_time deadline) {
        for (auto& one : readers_)
            one->stop();
        return finish_.wait_until(deadline);
    }

private:
    std::vector<std::unique_ptr<background_reader>> readers_;
    finish_line finish_;
    std::vector<std::thread> threads_;
};

background_workers::background_workers(std::unique_ptr<impl> owned) : impl_(std::move(owned)) {}
background_workers::~background_workers() = default;

result<std::unique_ptr<background_workers>>
background_workers::start(const background_routes& served, std::uint32_t threads,
                          channel_layer& layer, logger& log, metrics& counted) {
    auto made = std::make_unique<impl>();
    if (auto prepared = made->prepare(served, threads, layer, log, counted); !prepared)
        return prepared.error();
    if (auto started = made->run(); !started)
        return started.error();
    return std::unique_ptr<background_workers>(new background_workers(std::move(made)));
}

bool background_workers::stop(steady_time deadline) { return impl_->stop(deadline); }

} // namespace carillon
