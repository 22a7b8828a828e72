#include "testing/line.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <poll.h>

namespace carillon::testing {

line::line(running_site& site) : line(site, site.connect()) {}

// True when the socket is ready, false at the deadline.
bool line::wait(short events, steady_time deadline) const {
    pollfd watched{socket_.descriptor(), events, 0};
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
        const int milliseconds = static_cast<int>(std::clamp<decltype(left)>(left, 0, 3'600'000));
        const int ready = ::poll(&watched, 1, milliseconds);
        if (ready > 0)
            return true;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

line::outcome line::take() {
    std::array<char, 64 * 1024> piece;
    const auto got = socket_.receive(piece);
    switch (got.how) {
    case net::local_socket::outcome::done:
        received_.append(piece.data(), got.bytes);
        return outcome::more;
    case net::local_socket::outcome::not_now: return outcome::nothing;
    case net::local_socket::outcome::over: input_over_ = true;
    }
    return outcome::end;
}

line::outcome line::receive(steady_time deadline) {
    if (!socket_ || input_over_)
        return outcome::end;
    for (;;) {
        if (const auto got = take(); got != outcome::nothing)
            return got;
        if (!wait(POLLIN, deadline))
            return outcome::nothing;
    }
}

void line::send(std::string_view data, steady_time deadline) {
    while (!data.empty()) {
        const auto sent = socket_ ? socket_.send(data) : net::local_socket::transfer{};
        if (sent.how == net::local_socket::outcome::over)
            throw error(errc::closed, "the server has ended the connection");
        data.remove_prefix(sent.bytes);
        if (sent.how == net::local_socket::outcome::done)
            continue;
        if (!wait(input_over_ ? POLLOUT : POLLIN | POLLOUT, deadline))
            throw error(errc::timed_out, "the server has not taken what was sent in time");
        if (!input_over_)
            take();
    }
}

} // namespace carillon::testing
