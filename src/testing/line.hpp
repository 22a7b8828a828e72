// line: the client's end of one connection to a test site. Waits on the calling thread, never beyond a deadline.
#pragma once

#include <string>
#include <string_view>

#include "net/local_socket.hpp"
#include "testing/running_site.hpp"
#include <carillon/base/bytes.hpp>
#include <carillon/base/clock.hpp>

namespace carillon::testing {

class line {
public:
    explicit line(running_site& site);

    // Receives meanwhile, so that neither side waits for the other. Throws closed when the server takes no more,
    // timed_out.
    void send(std::string_view data, steady_time deadline);
    enum class outcome : std::uint8_t { more, nothing, end };
    // Adds to received(): `more` came, or `nothing` until the deadline, or the server's `end`.
    outcome receive(steady_time deadline);
    std::string& received() noexcept { return received_; }
    // Nothing is sent or received any more.
    void close() noexcept { socket_.close(); }
    bool is_open() const noexcept { return static_cast<bool>(socket_); }
    // Waits until the server has buried its end, and with it the consumer. False at the deadline.
    bool wait_until_ended(steady_time deadline) {
        return site_.wait_until_ended(served_, deadline);
    }

private:
    line(running_site& site, running_site::ends both)
        : site_(site), socket_(std::move(both.client)), served_(both.served) {}
    bool wait(short events, steady_time deadline) const;
    outcome take();

    running_site& site_;
    net::local_socket socket_;
    const std::uint64_t served_;
    std::string received_;
    bool input_over_ = false;
};

} // namespace carillon::testing
