#include "net/stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <carillon/base/assert.hpp>

namespace carillon::net {

namespace {

std::string openssl_reason() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "unreadable";
}

std::optional<failure> use_certificate(SSL_CTX* context, const std::string& certificate_file,
                                       const std::string& key_file) {
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1)
        return failure{errc::invalid, "the TLS certificate " + certificate_file +
                                          " cannot be used: " + openssl_reason()};
    if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return failure{errc::invalid,
                       "the TLS key " + key_file + " cannot be used: " + openssl_reason()};
    if (SSL_CTX_check_private_key(context) != 1)
        return failure{errc::invalid,
                       "the TLS key " + key_file + " does not belong to " + certificate_file};
    return std::nullopt;
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
    if (auto problem = use_certificate(made.context_, certificate_file, key_file))
        return *problem;
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

result<tls_client_context> tls_client_context::load(const tls_client_options& wanted) {
    std::signal(SIGPIPE, SIG_IGN);
    tls_client_context made(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(made.context_, TLS1_2_VERSION);
    SSL_CTX_set_options(made.context_, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(made.context_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ERR_clear_error();
    const bool trusted = wanted.ca_file.empty()
                             ? SSL_CTX_set_default_verify_paths(made.context_) == 1
                             : SSL_CTX_load_verify_file(made.context_, wanted.ca_file.c_str()) == 1;
    if (wanted.verify && !trusted)
        return failure{errc::invalid, "the TLS authorities " + wanted.ca_file +
                                          " cannot be used: " + openssl_reason()};
    SSL_CTX_set_verify(made.context_, wanted.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (!wanted.certificate_file.empty())
        if (auto problem = use_certificate(made.context_, wanted.certificate_file, wanted.key_file))
            return *problem;
    return made;
}

tls_client_context::tls_client_context(tls_client_context&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

tls_client_context::~tls_client_context() { SSL_CTX_free(context_); }

SSL* tls_client_context::new_session(int fd, const std::string& host) const {
    CARILLON_ASSERT(!host.empty(), "without a name any certificate would do");
    SSL* session = SSL_new(context_);
    SSL_set_fd(session, fd);
    SSL_set_connect_state(session);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) != 1) {
        SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        CARILLON_ASSERT(SSL_set1_host(session, host.c_str()) == 1, "a host name that TLS takes");
        SSL_set_tlsext_host_name(session, host.c_str());
    }
    ERR_clear_error();
    return session;
}

stream::stream(unique_fd socket, const tls_client_context& tls, const std::string& host)
    : fd_(std::move(socket)), ssl_(tls.new_session(fd_.get(), host)) {}

stream::stream(unique_fd socket, const tls_context* tls) : fd_(std::move(socket)) {
    if (tls)
        ssl_ = tls->new_session(fd_.get());
}

stream::~stream() { SSL_free(ssl_); }

stream::state stream::shake_hands() noexcept {
    if (!ssl_)
        return state::ok;
    ERR_clear_error();
    return after_tls(SSL_do_handshake(ssl_)).what;
}

std::string stream::tls_trouble() const {
    const auto verified = ssl_ ? SSL_get_verify_result(ssl_) : X509_V_OK;
    if (verified != X509_V_OK)
        return X509_verify_cert_error_string(verified);
    const auto code = ERR_peek_last_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "the connection was closed";
}

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
