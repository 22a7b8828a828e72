// The event relay: worker processes hand their events to the server on the same data folder through a unix socket.
//
// The stream holds frames: four bytes of length, most significant first, then JSON
// `{"to":"group"|"channel","name":…,"type":…,"members":{…}}`. It flows one way and is answered by nothing: what the
// server does not get is gone, as with any channel layer.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>

#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/result.hpp>
#include <carillon/channels/channel_layer.hpp>

namespace carillon {

inline constexpr std::size_t relay_connections_max = 256;
// The socket's path, in every data folder.
std::filesystem::path relay_socket_path(const std::filesystem::path& data_dir);

// The server's end: one thread that passes what arrives to `target`. The caller holds the data_dir_lock, so that a
// socket file that is there was left behind by a dead process, and is replaced. Malformed input closes that
// connection only.
class relay_server {
public:
    // Listens at once, socket mode 0600. `target`, `log` and `counters` outlive it. errc::invalid for a path longer
    // than a socket address holds (107 bytes), errc::unavailable.
    static result<std::unique_ptr<relay_server>> start(const std::filesystem::path& socket,
                                                       channel_layer& target, logger& log,
                                                       metrics* counters = nullptr);
    // Stops and removes the socket file.
    ~relay_server();

private:
    class impl;
    explicit relay_server(std::unique_ptr<impl> owned);
    std::unique_ptr<impl> impl_;
};

struct relay_layer_options {
    std::size_t buffer_bytes_max = 1 << 20;
    std::size_t buffer_events_max = 10'000;
    std::chrono::milliseconds reconnect_first{50}; // doubled up to reconnect_max, with jitter
    std::chrono::milliseconds reconnect_max{2'000};
};

// The worker's end. Sending appends to a bounded buffer and returns; an own thread connects, sends, and connects again
// with back-off while the server is away. When the buffer is full the oldest event goes first, counted in
// carillon_relay_dropped_total. Groups cannot be joined through it (errc::unavailable). Events holding bytes are
// refused (errc::invalid), since JSON has none.
class relay_layer final : public channel_layer {
public:
    relay_layer(std::filesystem::path socket, logger& log, metrics* counters = nullptr,
                relay_layer_options options = {});
    // Stops without waiting for what is unsent.
    ~relay_layer() override;

    result<void> group_send(std::string_view group, event e) override;
    result<void> send(std::string_view channel, event e) override;
    result<void> group_add(std::string_view group, std::string_view channel) override;
    result<void> group_discard(std::string_view group, std::string_view channel) override;

    // Waits until all that was sent so far has been handed to the server's socket. False at the deadline.
    bool flush(steady_time deadline);

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace carillon
