#include "net/stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace carillon::net {

namespace {

std::string openssl_reason() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "unreadable";
}

} // namespace

result<tls_context> tls_context::load(const std::string& certificate_file,
                                      const std::string& key_file) {
    tls_context made(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_min_proto_version(made.context_, TLS1_2_VERSION);
    SSL_CTX_set_options(made.context_, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE);
    // An idle connection gives its 34 KiB of record buffers back.
    SSL_CTX_set_mode(made.context_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(made.context_, certificate_file.c_str()) != 1)
        return failure{errc::invalid, "the TLS certificate " + certificate_file +
                                          " cannot be used: " + openssl_reason()};
    if (SSL_CTX_use_PrivateKey_file(made.context_, key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return failure{errc::invalid,
                       "the TLS key " + key_file + " cannot be used: " + openssl_reason()};
    if (SSL_CTX_check_private_key(made.context_) != 1)
        return failure{errc::invalid,
                       "the TLS key " + key_file + " does not belong to " + certificate_file};
    return made;
}

tls_context::tls_context(tls_context&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

tls_context::~tls_context() { SSL_CTX_free(context_); }

SSL* tls_context::new_session(int fd) const {
    SSL* session = SSL_new(context_);
    SSL_set_fd(session, fd);
    SSL_set_accept_state(session);
    return session;
}

stream::stream(unique_fd socket, const tls_context* tls) : fd_(std::move(socket)) {
    if (tls)
        ssl_ = tls->new_session(fd_.get());
}

stream::~stream() { SSL_free(ssl_); }

stream::progress stream::read(std::span<std::byte> into) noexcept {
    if (ssl_)
        return read_tls(into);
    for (;;) {
        const auto got = ::recv(fd_.get(), into.data(), into.size(), 0);
        if (got > 0)
            return {state::ok, static_cast<std::size_t>(got)};
        if (got == 0)
            return {state::closed};
        if (errno == EAGAIN)
            return {state::would_block};
        if (errno != EINTR)
            return {state::closed};
    }
}

stream::progress stream::write(std::span<const iovec> parts) noexcept {
    if (ssl_)
        return write_tls(parts);
    for (;;) {
        ssize_t sent;
        if (parts.size() == 1) {
            sent = ::send(fd_.get(), parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
        } else {
            msghdr message{};
            message.msg_iov = const_cast<iovec*>(parts.data());
            message.msg_iovlen = parts.size();
            sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
        }
        if (sent >= 0)
            return {state::ok, static_cast<std::size_t>(sent)};
        if (errno == EAGAIN)
            return {state::would_block};
        if (errno != EINTR)
            return {state::closed};
    }
}

stream::progress stream::read_tls(std::span<std::byte> into) noexcept {
    ERR_clear_error();
    const int size = static_cast<int>(std::min<std::size_t>(into.size(), INT_MAX));
    return after_tls(SSL_read(ssl_, into.data(), size));
}

stream::progress stream::write_tls(std::span<const iovec> parts) noexcept {
    // One record for what fits into one: small frames cost one encryption and one system call together.
    constexpr std::size_t record_bytes = 16 * 1024;
    if (parts.size() == 1 || parts[0].iov_len >= record_bytes)
        return write_tls(parts[0].iov_base, std::min(parts[0].iov_len, record_bytes));
    std::array<std::byte, record_bytes> record;
    std::size_t filled = 0;
    for (const auto& part : parts) {
        const auto piece = std::min(part.iov_len, record_bytes - filled);
        std::memcpy(record.data() + filled, part.iov_base, piece);
        filled += piece;
        if (filled == record_bytes)
            break;
    }
    return write_tls(record.data(), filled);
}

stream::progress stream::write_tls(const void* data, std::size_t size) noexcept {
    ERR_clear_error();
    const auto done = after_tls(SSL_write(ssl_, data, static_cast<int>(size)));
    promised_bytes_ = done.what == state::would_block ? size : 0;
    return done;
}

stream::progress stream::after_tls(int returned) noexcept {
    wants_write_ = false;
    if (returned > 0)
        return {state::ok, static_cast<std::size_t>(returned)};
    switch (SSL_get_error(ssl_, returned)) {
    case SSL_ERROR_WANT_WRITE: wants_write_ = true; return {state::would_block};
    case SSL_ERROR_WANT_READ: return {state::would_block};
    default: return {state::closed};
    }
}

bool stream::has_buffered() const noexcept { return ssl_ && SSL_pending(ssl_) > 0; }

void stream::finish() noexcept {
    if (ssl_ && SSL_is_init_finished(ssl_)) {
        ERR_clear_error();
        SSL_shutdown(ssl_);
    }
    ::shutdown(fd_.get(), SHUT_WR);
}

} // namespace carillon::net
