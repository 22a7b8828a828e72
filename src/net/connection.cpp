#include "net/connection.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace carillon::net {

void protocol::on_end_of_input() { link().end(); }

connection::connection(shard& home, unique_fd socket, const tls_context* tls,
                       std::unique_ptr<protocol> first)
    : home_(home), stream_(std::move(socket), tls), protocol_(std::move(first)) {
    protocol_->link_ = this;
}

connection::~connection() { home_.release_connection(); }

void connection::adopt() {
    const int one = 1;
    // fails on unix sockets, which need none
    ::setsockopt(stream_.fd(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    last_received_ = home_.second();
    interest_ = EPOLLIN;
    home_.events().watch(stream_.fd(), interest_, *this);
    home_.remind(*this, 1);
}

void connection::push(shared_frame frame) {
    if (closing_ || ended_)
        return;
    outbox_.push(std::move(frame));
    if (!dirty_ && blocked_since_ == 0) {
        dirty_ = true;
        home_.mark_dirty(*this);
    }
}

void connection::flush() noexcept {
    dirty_ = false;
    if (ended_ || held_)
        return;
    std::array<iovec, outbox::gather_max> parts;
    while (!outbox_.empty()) {
        const auto count = outbox_.gather(parts);
        const auto written = stream_.write({parts.data(), count});
        if (written.what == stream::state::closed)
            return end();
        if (written.what == stream::state::would_block) {
            if (blocked_since_ == 0)
                blocked_since_ = std::max(home_.second(), 1u);
            home_.remind_by(*this,
                            static_cast<std::uint32_t>(home_.limit().outbox_soft_duration.count()));
            return update_interest();
        }
        outbox_.consume(written.bytes);
        if (blocked_since_ != 0)
            // it takes something: the clock starts again
            blocked_since_ = std::max(home_.second(), 1u);
    }
    flushed();
}

void connection::hold_output(bool held) {
    held_ = held;
    if (held || ended_ || dirty_ || blocked_since_ != 0 || (outbox_.empty() && !closing_))
        return;
    dirty_ = true;
    home_.mark_dirty(*this);
}

void connection::flushed() noexcept {
    if (blocked_since_ != 0 || report_drained_) {
        blocked_since_ = 0;
        report_drained_ = false;
        update_interest();
        protocol_->on_drained();
        if (ended_ || !outbox_.empty())
            return;
    }
    if (!closing_ || finished_)
        return;
    if (!linger_ || input_over_)
        return end();
    finished_ = true;
    stream_.finish();
    const auto patience = static_cast<std::uint32_t>(home_.limit().close_timeout.count());
    linger_until_ = home_.second() + patience;
    home_.remind(*this, patience);
    paused_ = false;
    update_interest();
}

void connection::update_interest() noexcept {
    if (ended_)
        return;
    std::uint32_t wanted = 0; // errors and a full hang-up are always told
    if (!input_over_ && !paused_)
        wanted = EPOLLIN;
    else if (!input_over_ && !peer_finished_)
        wanted = EPOLLRDHUP;
    if (blocked_since_ != 0 || (stream_.wants_write() && !paused_))
        wanted |= EPOLLOUT;
    if (wanted != interest_) {
        interest_ = wanted;
        home_.events().rewatch(stream_.fd(), wanted, *this);
    }
}

void connection::pause_reading(bool paused) {
    if (paused_ == paused || finished_)
        return;
    paused_ = paused;
    update_interest();
    if (!paused && stream_.has_buffered())
        home_.read_soon(*this); // TLS holds bytes that the kernel will not announce
}

void connection::read_buffered() noexcept {
    if (!ended_ && !paused_)
        read();
}

void connection::on_ready(std::uint32_t events) noexcept {
    if (ended_)
        return;
    const bool handshake_waits = stream_.wants_write();
    if (events & EPOLLOUT)
        flush();
    if (ended_)
        return;
    if ((events & EPOLLIN) || ((events & EPOLLOUT) && handshake_waits && !paused_))
        read();
    else if (events & (EPOLLHUP | EPOLLERR))
        end();
    else if (events & EPOLLRDHUP) {
        // What the peer sent before is still to be read; its end is met there.
        peer_finished_ = true;
        update_interest();
    }
}

void connection::read() noexcept {
    constexpr int records_max = 8; // of TLS, in one go: then others get their turn
    int records = 0;
    do {
        const auto scratch = home_.scratch();
        const auto got = stream_.read(scratch);
        if (got.what == stream::state::would_block)
            return update_interest();
        if (got.what == stream::state::closed) {
            input_over_ = true;
            if (finished_)
                end();
            else
                protocol_->on_end_of_input();
            return update_interest();
        }
        last_received_ = home_.second();
        if (!finished_)
            protocol_->on_bytes(scratch.first(got.bytes));
        ++records;
    } while (!ended_ && stream_.encrypted() && !paused_ &&
             (records < records_max || stream_.has_buffered()));
}

void connection::on_due() noexcept {
    if (ended_)
        // a husk stays in sight of the shard until its protocol is done
        return home_.remind(*this, 1);
    const auto second = home_.second();
    const auto patience = static_cast<std::uint32_t>(home_.limit().send_timeout.count());
    if (blocked_since_ != 0 && second - blocked_since_ >= patience)
        return end();
    if (finished_) {
        if (second >= linger_until_)
            return end();
        return home_.remind(*this, linger_until_ - second);
    }
    const auto next = protocol_->on_reminder();
    if (!ended_)
        home_.remind(*this, next);
}

void connection::stop() noexcept {
    if (!ended_ && !closing_)
        protocol_->on_stop();
}

void connection::close_after_flush(bool linger) {
    if (closing_ || ended_)
        return;
    closing_ = true;
    linger_ = linger;
    if (!dirty_ && blocked_since_ == 0) {
        dirty_ = true;
        home_.mark_dirty(*this);
    }
}

void connection::end() noexcept {
    if (ended_)
        return;
    ended_ = true;
    outbox_.clear();
    protocol_->on_ended();
    settle();
    if (!buried_) // closing the descriptor, at the end of this turn, stops the watch too
        home_.events().unwatch(stream_.fd());
}

void connection::settle() noexcept {
    if (!ended_ || buried_ || protocol_->busy())
        return;
    buried_ = true;
    home_.bury(*this);
}

void connection::become(std::unique_ptr<protocol> next) {
    next->link_ = this;
    auto former = std::exchange(protocol_, std::move(next));
    home_.events().defer([retired = std::move(former)] {});
}

} // namespace carillon::net
