#include <poll.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include "channels/relay.hpp"
#include "channels/relay_frame.hpp"
#include "net/local_socket.hpp"

namespace carillon {

class relay_layer::impl {
public:
    impl(std::filesystem::path path, logger& log, metrics* counters, relay_layer_options options)
        : path_(std::move(path)), log_(log), options_(options),
          own_metrics_(counters ? nullptr : std::make_unique<metrics>()),
          sent_((counters ? *counters : *own_metrics_)
                    .add(metric_kind::counter, "carillon_relay_sent_total",
                         "Events handed to the server")),
          dropped_((counters ? *counters : *own_metrics_)
                       .add(metric_kind::counter, "carillon_relay_dropped_total",
                            "Events dropped while the server was away")),
          thread_([this] { carry(); }) {}

    ~impl() {
        {
            std::lock_guard lock(guard_);
            ending_ = true;
        }
        wake_.ring();
        wake_up_.notify_all();
        thread_.join();
        std::lock_guard lock(guard_);
        dropped_.add(static_cast<std::int64_t>(waiting_.size()));
    }

    result<void> add(bool to_group, std::string_view name, const event& e) {
        if (!(to_group ? is_group_name(name) : is_channel_name(name)) ||
            is_reserved_event_type(e.type()))
            return failure{errc::invalid, "a malformed name or a reserved event type"};
        auto frame = encode_relayed(to_group, name, e);
        if (!frame)
            return frame.error();
        {
            std::lock_guard lock(guard_);
            bytes_ += frame->size();
            waiting_.push_back(*std::move(frame));
            // The newest news is worth most; one that is larger than the buffer by itself still goes alone.
            while (waiting_.size() > 1 && (bytes_ > options_.buffer_bytes_max ||
                                           waiting_.size() > options_.buffer_events_max)) {
                bytes_ -= waiting_.front().size();
                waiting_.pop_front();
                dropped_.add();
            }
        }
        wake_up_.notify_all();
        return {};
    }

    bool flush(steady_time deadline) {
        std::unique_lock lock(guard_);
        return emptied_.wait_until(lock, deadline,
                                   [&] { return waiting_.empty() && carried_.empty(); });
    }

private:
    void carry() {
        auto pause = options_.reconnect_first;
        for (;;) {
            {
                std::unique_lock lock(guard_);
                wake_up_.wait(lock,
                              [&] { return ending_ || !waiting_.empty() || !carried_.empty(); });
                if (ending_)
                    return;
            }
            if (!socket_ && !connect()) {
                if (pause == options_.reconnect_first)
                    log_.warning("the server does not take events; they wait in a bounded buffer",
                                 {{"socket", path_.string()}});
                std::unique_lock lock(guard_);
                if (wake_up_.wait_for(lock, jittered(pause), [&] { return ending_; }))
                    return;
                pause = std::min(pause * 2, options_.reconnect_max);
                continue;
            }
            pause = options_.reconnect_first;
            if (!send_batch())
                socket_.close();
        }
    }

    bool connect() {
        auto made = net::local_socket::connect(path_);
        if (!made)
            return false;
        socket_ = *std::move(made);
        return true;
    }

    // Moves what waits into carried_ and writes it. An event that was written in part when the connection broke goes
    // again, whole, on the next one: the server forgot the part.
    bool send_batch() {
        {
            std::lock_guard lock(guard_);
            if (carried_.empty()) {
                carried_.swap(waiting_);
                bytes_ = 0;
            }
        }
        offset_ = 0;
        while (!carried_.empty()) {
            const auto& frame = carried_.front();
            const auto sent = socket_.send(std::string_view(frame).substr(offset_));
            if (sent.how == net::local_socket::outcome::over ||
                (sent.how == net::local_socket::outcome::not_now && !wait_for_room()))
                return false;
            offset_ += sent.bytes;
            if (offset_ < frame.size())
                continue;
            offset_ = 0;
            sent_.add();
            std::lock_guard lock(guard_);
            carried_.pop_front();
            if (carried_.empty() && waiting_.empty())
                emptied_.notify_all();
        }
        return true;
    }

    // False when the connection broke or this object ends.
    bool wait_for_room() {
        pollfd watched[] = {{socket_.descriptor(), POLLOUT, 0}, {wake_.descriptor(), POLLIN, 0}};
        if (::poll(watched, 2, -1) < 0)
            return errno == EINTR;
        return !watched[1].revents && !(watched[0].revents & (POLLERR | POLLHUP));
    }

    std::chrono::milliseconds jittered(std::chrono::milliseconds pause) {
        std::uniform_int_distribution<std::int64_t> part(pause.count() / 2, pause.count());
        return std::chrono::milliseconds(part(random_));
    }

    const std::filesystem::path path_;
    logger& log_;
    const relay_layer_options options_;
    std::unique_ptr<metrics> own_metrics_;
    counter &sent_, &dropped_;

    std::mutex guard_;
    std::condition_variable wake_up_, emptied_;
    std::deque<std::string> waiting_;
    std::size_t bytes_ = 0; // of waiting_
    bool ending_ = false;

    std::deque<std::string> carried_; // changed under guard_, by the thread alone
    std::size_t offset_ = 0;
    std::minstd_rand random_{std::random_device{}()};
    net::local_socket socket_;
    net::wake_up wake_;
    std::thread thread_;
};

relay_layer::relay_layer(std::filesystem::path socket, logger& log, metrics* counters,
                         relay_layer_options options)
    : impl_(std::make_unique<impl>(std::move(socket), log, counters, options)) {}
relay_layer::~relay_layer() = default;

result<void> relay_layer::group_send(std::string_view group, event e) {
    return impl_->add(true, group, e);
}
result<void> relay_layer::send(std::string_view channel, event e) {
    return impl_->add(false, channel, e);
}

result<void> relay_layer::group_add(std::string_view, std::string_view) {
    return failure{errc::unavailable,
                   "groups live in the server; a worker process cannot join one"};
}
result<void> relay_layer::group_discard(std::string_view, std::string_view) {
    return failure{errc::unavailable,
                   "groups live in the server; a worker process cannot leave one"};
}

bool relay_layer::flush(steady_time deadline) { return impl_->flush(deadline); }

} // namespace carillon
