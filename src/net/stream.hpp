// stream: the bytes of one connected socket, in clear or under TLS. Never blocks.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <sys/uio.h>

#include "net/loop.hpp"
#include <carillon/base/result.hpp>

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace carillon::net {

// A TLS server context: TLS 1.2 and newer (RFC 9325), the library's default ciphers, no compression, no renegotiation.
class tls_context {
public:
    // PEM files: the certificate with its chain, and the private key. The failure says which file is wrong, and why.
    static result<tls_context> load(const std::string& certificate_file,
                                    const std::string& key_file);
    tls_context(tls_context&& other) noexcept;
    ~tls_context();
    SSL* new_session(int fd) const;

private:
    explicit tls_context(SSL_CTX* owned) : context_(owned) {}
    SSL_CTX* context_;
};

struct tls_client_options {
    bool verify = true;                     // the server's certificate and its host name
    std::string ca_file;                    // PEM; empty: the system's authorities
    std::string certificate_file, key_file; // PEM, of this client; both empty: none
};

// The client's side: as above, with the server's certificate checked. Loading makes the process ignore SIGPIPE, as a
// server's start does, since OpenSSL writes without MSG_NOSIGNAL.
class tls_client_context {
public:
    // errc::invalid says which file is wrong, and why.
    static result<tls_client_context> load(const tls_client_options& wanted);
    tls_client_context(tls_client_context&& other) noexcept;
    ~tls_client_context();
    // `host`, not empty, is the name or the address that the certificate must hold (RFC 6125 without partial
    // wildcards); a name is also sent as SNI.
    SSL* new_session(int fd, const std::string& host) const;

private:
    explicit tls_client_context(SSL_CTX* owned) : context_(owned) {}
    SSL_CTX* context_;
};

class stream {
public:
    enum class state { ok, would_block, closed };
    struct progress {
        state what;
        std::size_t bytes = 0;
    };

    stream(unique_fd socket, const tls_context* tls);
    // The client's side of a socket that is connected, or will be when bytes are asked for.
    stream(unique_fd socket, const tls_client_context& tls, const std::string& host);
    stream(const stream&) = delete;
    ~stream();

    int fd() const noexcept { return fd_.get(); }
    bool encrypted() const noexcept { return ssl_ != nullptr; }
    // TLS before the first byte, for whoever wants to know when it is done and why it fails: ok, would_block (see
    // wants_write()) or closed. Reading and writing do without it. In clear: ok.
    state shake_hands() noexcept;
    // Why TLS failed, for a log: the certificate's fault, or the library's word.
    std::string tls_trouble() const;
    // Reads what is there. `closed` means that nothing will ever come, whatever the reason.
    progress read(std::span<std::byte> into) noexcept;
    // Writes what the kernel takes of the pieces, in order.
    progress write(std::span<const iovec> parts) noexcept;
    // True when bytes were received that no readiness will announce (TLS keeps decrypted ones).
    bool has_buffered() const noexcept;
    // What TLS waits for while the handshake or a renegotiated key runs: EPOLLOUT when a read or write needs it.
    bool wants_write() const noexcept { return wants_write_; }
    // The bytes of the last write that TLS has encrypted already, but not sent: the next write must begin with them.
    std::size_t promised_bytes() const noexcept { return promised_bytes_; }
    // Says "no more from me" (TLS close_notify, then shutdown of the sending side).
    void finish() noexcept;

private:
    progress read_tls(std::span<std::byte> into) noexcept;
    progress write_tls(std::span<const iovec> parts) noexcept;
    progress write_tls(const void* data, std::size_t size) noexcept;
    progress after_tls(int returned) noexcept;

    unique_fd fd_;
    bool wants_write_ = false;
    std::size_t promised_bytes_ = 0;
    SSL* ssl_ = nullptr;
};

} // namespace carillon::net
