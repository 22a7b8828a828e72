#include <poll.h>

#include <array>
#include <thread>

#include <fmt/format.h>

#include "channels/relay.hpp"
#include "channels/relay_frame.hpp"
#include "net/local_socket.hpp"

namespace carillon {

std::filesystem::path relay_socket_path(const std::filesystem::path& data_dir) {
    return data_dir / "events.sock";
}

class relay_server::impl {
public:
    impl(std::filesystem::path path, channel_layer& target, logger& log, metrics& counters,
         net::local_socket listener)
        : path_(std::move(path)), target_(target), log_(log),
          received_(counters.add(metric_kind::counter, "carillon_relay_received_total",
                                 "Events taken over from worker processes")),
          refused_(counters.add(metric_kind::counter, "carillon_relay_refused_total",
                                "Connections of the relay closed for malformed input")),
          listener_(std::move(listener)), thread_([this] { serve(); }) {}

    ~impl() {
        wake_.ring();
        thread_.join();
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }

    std::unique_ptr<metrics> own_metrics;

private:
    struct connection {
        net::local_socket socket;
        relay_splitter frames;
    };

    void serve() {
        for (;;) {
            std::vector<pollfd> watched{{wake_.descriptor(), POLLIN, 0},
                                        {listener_.descriptor(), POLLIN, 0}};
            for (const auto& each : connections_)
                watched.push_back({each.socket.descriptor(), POLLIN, 0});
            if (connections_.size() >= relay_connections_max)
                watched[1].events = 0;
            if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) {
                log_.error("the event relay stopped",
                           {{"error", std::generic_category().message(errno)}});
                return;
            }
            if (watched[0].revents)
                return;
            for (std::size_t i = connections_.size(); i-- > 0;)
                if (watched[i + 2].revents && !receive(connections_[i]))
                    connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i));
            if (watched[1].revents)
                accept();
        }
    }

    void accept() {
        if (auto socket = listener_.accept())
            connections_.push_back({std::move(socket), {}});
    }

    // False when the connection is over.
    bool receive(connection& from) {
        std::array<char, 65'536> block;
        const auto got = from.socket.receive(block);
        if (got.how != net::local_socket::outcome::done)
            return got.how == net::local_socket::outcome::not_now;
        from.frames.append({block.data(), got.bytes});
        for (;;) {
            auto json = from.frames.next();
            if (json && !json->data())
                return true;
            auto passed = json ? pass_on(*json) : json.error();
            if (!passed) {
                refused_.add();
                log_.warning("a connection of the event relay was closed",
                             {{"error", passed.error().message}});
                return false;
            }
        }
    }

    result<void> pass_on(std::string_view json) {
        auto relayed = decode_relayed(json);
        if (!relayed)
            return relayed.error();
        received_.add();
        auto sent = relayed->to_group ? target_.group_send(relayed->name, relayed->what)
                                      : target_.send(relayed->name, relayed->what);
        // A full channel is the layer's to count, not the sender's fault.
        if (!sent)
            log_.debug("the channel layer refused a relayed event",
                       {{"error", sent.error().message}});
        return {};
    }

    std::filesystem::path path_;
    channel_layer& target_;
    logger& log_;
    counter &received_, &refused_;
    net::local_socket listener_;
    net::wake_up wake_;
    std::vector<connection> connections_; // of the thread
    std::thread thread_;
};

relay_server::relay_server(std::unique_ptr<impl> owned) : impl_(std::move(owned)) {}
relay_server::~relay_server() = default;

result<std::unique_ptr<relay_server>> relay_server::start(const std::filesystem::path& socket,
                                                          channel_layer& target, logger& log,
                                                          metrics* counters) {
    auto listener = net::local_socket::listen(socket);
    if (!listener)
        return listener.error();
    std::unique_ptr<metrics> own;
    if (!counters) {
        own = std::make_unique<metrics>();
        counters = own.get();
    }
    auto made = std::make_unique<impl>(socket, target, log, *counters, *std::move(listener));
    made->own_metrics = std::move(own);
    return std::unique_ptr<relay_server>(new relay_server(std::move(made)));
}

} // namespace carillon
