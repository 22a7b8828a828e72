#include "net/client_socket.hpp"

#include <array>
#include <cstring>
#include <system_error>
#include <utility>

namespace carillon::net {

namespace {

constexpr std::size_t piece_bytes = std::size_t{64} * 1024;
// After as many pieces others have their turn.
constexpr int pieces_max = 16;
// An output buffer above this is given back once it is empty.
constexpr std::size_t kept_bytes = std::size_t{1} * 1024 * 1024;

} // namespace

void client_socket::open(target to, std::optional<tls_client_context> tls,
                         std::chrono::milliseconds timeout) {
    to_ = std::move(to);
    if (tls)
        tls_.emplace(std::move(*tls));
    deadline_ = now() + timeout;
    state_ = state::looking_up;
    // nothing is told from inside open()
    loop_.defer([self = shared_from_this()] {
        if (self->state_ == state::looking_up)
            self->look_up();
    });
}

void client_socket::look_up() {
    if (!to_.path.empty()) {
        const auto local = local_address(to_.path);
        return connect_to(local ? result(std::vector{*local}) : local.error());
    }
    if (const auto numeric = numeric_address(to_.host, to_.port))
        return connect_to(std::vector{*numeric});
    names_.find(to_.host, [this](auto found) { connect_to(std::move(found)); });
}

void client_socket::connect_to(result<std::vector<socket_address>> found) {
    if (!found)
        return lost(found.error().code, found.error().message);
    addresses_.assign(found->begin(), found->end());
    try_next_address();
}

void client_socket::try_next_address() noexcept {
    auto to = addresses_.front();
    addresses_.pop_front();
    to.set_port(to_.port);
    if (!addresses_.empty()) {
        const auto share = (deadline_ - now()) / static_cast<int>(addresses_.size() + 1);
        address_timer_ = loop_.at(now() + share, [this] {
            address_timer_.reset();
            address_failed("no answer");
        });
    }
    state_ = state::connecting;
    auto opened = open_socket(to);
    if (!opened)
        return address_failed(opened.error().message);
    if (tls_)
        stream_.emplace(std::move(*opened), *tls_, to_.host);
    else
        stream_.emplace(std::move(*opened), nullptr);
    try {
        wants_writable_ = true;
        loop_.watch(stream_->fd(), EPOLLIN | EPOLLOUT, *this);
    } catch (const std::system_error& none_left) {
        stream_.reset();
        lost(errc::unavailable, none_left.what());
    }
}

void client_socket::drop_socket() noexcept {
    if (address_timer_)
        loop_.cancel(*std::exchange(address_timer_, std::nullopt));
    if (!stream_)
        return;
    loop_.unwatch(stream_->fd());
    stream_.reset();
    // this turn's readiness may still name it
    loop_.defer([self = shared_from_this()] { static_cast<void>(self); });
}

void client_socket::address_failed(std::string why) noexcept {
    drop_socket();
    if (addresses_.empty())
        return lost(errc::unavailable, std::move(why));
    try_next_address();
}

std::string& client_socket::outgoing() {
    if (sent_ > kept_bytes && sent_ > out_.size() / 2) {
        out_.erase(0, sent_);
        sent_ = 0;
    }
    return out_;
}

void client_socket::flush_soon() {
    if (unsent_bytes() > low_water)
        above_ = true;
    if (state_ != state::open || flush_deferred_ || wants_writable_)
        return;
    flush_deferred_ = true;
    loop_.defer([self = shared_from_this()] {
        self->flush_deferred_ = false;
        self->flush();
    });
}

const char* client_socket::missing() const noexcept {
    switch (state_) {
    case state::looking_up: return "no address for its name";
    case state::connecting: return "no connection";
    case state::shaking_hands: return "no TLS session";
    default: return "no answer";
    }
}

void client_socket::close() noexcept {
    if (state_ == state::looking_up)
        names_.forget();
    addresses_.clear();
    drop_socket();
    state_ = state::closed;
    out_ = {};
    sent_ = 0;
}

void client_socket::lost(errc code, std::string why) noexcept {
    if (state_ == state::closed)
        return;
    const auto self = shared_from_this();
    close();
    events_->on_lost(failure{code, std::move(why)});
}

void client_socket::on_ready(std::uint32_t ready) noexcept {
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

void client_socket::finish_connect() noexcept {
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(stream_->fd(), SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0)
        return address_failed(std::strerror(problem));
    state_ = state::shaking_hands;
    shake_hands();
}

void client_socket::shake_hands() noexcept {
    const auto done = stream_->shake_hands();
    if (done == stream::state::closed)
        return address_failed("no TLS session: " + stream_->tls_trouble());
    watch_for(done == stream::state::would_block && stream_->wants_write());
    if (done == stream::state::would_block)
        return;
    if (address_timer_)
        loop_.cancel(*std::exchange(address_timer_, std::nullopt));
    addresses_.clear();
    state_ = state::open;
    events_->on_open();
}

void client_socket::read() noexcept {
    const auto self = shared_from_this();
    std::array<std::byte, piece_bytes> piece;
    for (int i = 0; i < pieces_max && state_ == state::open; ++i) {
        const auto got = stream_->read(piece);
        if (got.what == stream::state::closed)
            return lost(errc::unavailable, "the server closed the connection");
        if (got.what == stream::state::would_block)
            return;
        events_->on_bytes({reinterpret_cast<const char*>(piece.data()), got.bytes});
        if (state_ == state::open && got.bytes < piece.size() && !stream_->encrypted())
            return; // there was no more
    }
    if (state_ == state::open && stream_->has_buffered())
        loop_.defer([self] { self->read(); });
}

void client_socket::flush() noexcept {
    if (state_ != state::open)
        return;
    while (sent_ < out_.size()) {
        const iovec rest{out_.data() + sent_, out_.size() - sent_};
        const auto done = stream_->write({&rest, 1});
        if (done.what == stream::state::closed)
            return sending_failed();
        if (done.what == stream::state::would_block) {
            watch_for(true);
            break;
        }
        sent_ += done.bytes;
    }
    if (sent_ == out_.size()) {
        sent_ = 0;
        out_.clear();
        if (out_.capacity() > kept_bytes)
            out_ = {};
        watch_for(false);
    }
    if (above_ && unsent_bytes() <= low_water) {
        above_ = false;
        events_->on_room();
    }
}

// What the server said before it closed still counts: why it closed.
void client_socket::sending_failed() noexcept {
    const auto self = shared_from_this();
    if (!stream_->encrypted())
        read();
    lost(errc::unavailable, "the server takes no bytes any more");
}

void client_socket::watch_for(bool writable) noexcept {
    if (writable == wants_writable_)
        return;
    wants_writable_ = writable;
    loop_.rewatch(stream_->fd(), writable ? EPOLLIN | EPOLLOUT : EPOLLIN, *this);
}

} // namespace carillon::net
