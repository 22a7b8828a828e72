#include "net/redis/link.hpp"

#include <array>
#include <cstring>
#include <system_error>
#include <utility>

namespace carillon::net::redis {

namespace {

constexpr std::size_t piece_bytes = std::size_t{64} * 1024;
// After as many pieces others have their turn.
constexpr int pieces_max = 16;
// An output buffer above this is given back once it is empty.
constexpr std::size_t kept_bytes = std::size_t{256} * 1024;

} // namespace

result<void> link::open(const socket_address& to, const tls_client_context* tls,
                        const std::string& host) {
    auto opened = open_socket(to);
    if (!opened)
        return opened.error();
    if (tls)
        stream_.emplace(std::move(*opened), *tls, host);
    else
        stream_.emplace(std::move(*opened), nullptr);
    try {
        loop_.watch(stream_->fd(), EPOLLIN | EPOLLOUT, *this);
    } catch (const std::system_error& none_left) {
        stream_.reset();
        return failure{errc::unavailable, none_left.what()};
    }
    state_ = state::connecting;
    wants_writable_ = true;
    return {};
}

void link::write(std::string_view bytes) {
    if (state_ != state::open)
        return;
    if (sent_ > kept_bytes && sent_ > out_.size() / 2) {
        out_.erase(0, sent_);
        sent_ = 0;
    }
    out_ += bytes;
    if (flush_deferred_ || wants_writable_)
        return;
    flush_deferred_ = true;
    loop_.defer([self = shared_from_this()] {
        self->flush_deferred_ = false;
        self->flush();
    });
}

const char* link::missing() const noexcept {
    switch (state_) {
    case state::connecting: return "no connection";
    case state::shaking_hands: return "no TLS session";
    default: return "no answer";
    }
}

void link::close() noexcept {
    if (state_ == state::closed)
        return;
    if (stream_) {
        loop_.unwatch(stream_->fd());
        stream_.reset();
        // this turn's readiness may still name it
        loop_.defer([self = shared_from_this()] { static_cast<void>(self); });
    }
    state_ = state::closed;
    out_ = {};
    sent_ = 0;
}

void link::lost(errc code, std::string why) noexcept {
    if (state_ == state::closed)
        return;
    close();
    events_->on_lost(failure{code, std::move(why)});
}

void link::on_ready(std::uint32_t ready) noexcept {
    const auto self = shared_from_this();
    switch (state_) {
    case state::connecting: return finish_connect();
    case state::shaking_hands: return shake_hands();
    case state::open: break;
    default: return;
    }
    if (ready & EPOLLOUT)
        flush();
    if (state_ == state::open && (ready & ~std::uint32_t{EPOLLOUT}))
        read();
}

void link::finish_connect() noexcept {
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(stream_->fd(), SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0)
        return lost(errc::unavailable, std::strerror(problem));
    state_ = state::shaking_hands;
    shake_hands();
}

void link::shake_hands() noexcept {
    const auto done = stream_->shake_hands();
    if (done == stream::state::closed)
        return lost(errc::unavailable, "no TLS session: " + stream_->tls_trouble());
    watch_for(done == stream::state::would_block && stream_->wants_write());
    if (done == stream::state::would_block)
        return;
    state_ = state::open;
    events_->on_open();
}

void link::read() noexcept {
    const auto self = shared_from_this();
    std::array<std::byte, piece_bytes> piece;
    for (int i = 0; i < pieces_max && state_ == state::open; ++i) {
        const auto got = stream_->read(piece);
        if (got.what == stream::state::closed)
            return lost(errc::unavailable, "the server closed the connection");
        if (got.what == stream::state::would_block)
            return;
        if (!take({reinterpret_cast<const char*>(piece.data()), got.bytes}))
            return;
        if (got.bytes < piece.size() && !stream_->encrypted())
            return; // there was no more
    }
    if (state_ == state::open && stream_->has_buffered())
        loop_.defer([self] { self->read(); });
}

bool link::take(std::string_view received) noexcept {
    reader_.append(received);
    while (state_ == state::open) {
        auto next = reader_.next();
        if (!next) {
            lost(next.error().code, next.error().message);
            return false;
        }
        if (!*next)
            return true;
        events_->on_reply(std::move(**next));
    }
    return false;
}

void link::flush() noexcept {
    if (state_ != state::open)
        return;
    while (sent_ < out_.size()) {
        const iovec rest{out_.data() + sent_, out_.size() - sent_};
        const auto done = stream_->write({&rest, 1});
        if (done.what == stream::state::closed)
            return sending_failed();
        if (done.what == stream::state::would_block)
            return watch_for(true);
        sent_ += done.bytes;
    }
    sent_ = 0;
    out_.clear();
    if (out_.capacity() > kept_bytes)
        out_ = {};
    watch_for(false);
}

// What the server said before it closed still counts: why it closed, or that a command was executed.
void link::sending_failed() noexcept {
    const auto self = shared_from_this();
    if (!stream_->encrypted())
        read();
    lost(errc::unavailable, "the server takes no bytes any more");
}

void link::watch_for(bool writable) noexcept {
    if (writable == wants_writable_)
        return;
    wants_writable_ = writable;
    loop_.rewatch(stream_->fd(), writable ? EPOLLIN | EPOLLOUT : EPOLLIN, *this);
}

} // namespace carillon::net::redis
