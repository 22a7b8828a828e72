// HTTP and WebSocket under TLS: what differs is how bytes come and go.

#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "web/test_server.hpp"
#include <carillon/net/waits.hpp>

using namespace carillon;
using namespace carillon::web::test;
namespace frames = carillon::wire::ws::test;

namespace {

// A key and a certificate of its own, in files that are gone at the end.
class own_certificate {
public:
    own_certificate() {
        std::signal(SIGPIPE, SIG_IGN); // as `serve` does: OpenSSL writes without MSG_NOSIGNAL
        const auto stem =
            std::filesystem::temp_directory_path() / ("carillon_tls_" + std::to_string(::getpid()));
        certificate_ = stem.string() + ".crt";
        key_ = stem.string() + ".key";
        EVP_PKEY* pair = EVP_EC_gen("P-256");
        X509* signed_by_itself = X509_new();
        ASN1_INTEGER_set(X509_get_serialNumber(signed_by_itself), 1);
        X509_gmtime_adj(X509_getm_notBefore(signed_by_itself), 0);
        X509_gmtime_adj(X509_getm_notAfter(signed_by_itself), 3600);
        X509_set_pubkey(signed_by_itself, pair);
        X509_sign(signed_by_itself, pair, EVP_sha256());
        write(certificate_, [&](FILE* into) { PEM_write_X509(into, signed_by_itself); });
        write(key_, [&](FILE* into) {
            PEM_write_PrivateKey(into, pair, nullptr, nullptr, 0, nullptr, nullptr);
        });
        X509_free(signed_by_itself);
        EVP_PKEY_free(pair);
        context.emplace(net::tls_context::load(certificate_, key_).value());
    }
    ~own_certificate() {
        std::filesystem::remove(certificate_);
        std::filesystem::remove(key_);
    }
    const std::string& certificate_file() const noexcept { return certificate_; }
    std::optional<net::tls_context> context;

private:
    template <class F>
    static void write(const std::string& path, F fill) {
        FILE* into = std::fopen(path.c_str(), "wb");
        fill(into);
        std::fclose(into);
    }
    std::string certificate_, key_;
};

// A blocking client that checks no certificate.
class tls_client {
public:
    explicit tls_client(std::uint16_t port, int receive_buffer_bytes = 0)
        : plain_(port, receive_buffer_bytes), context_(SSL_CTX_new(TLS_client_method())),
          session_(SSL_new(context_)) {
        SSL_set_fd(session_, plain_.fd());
        if (SSL_connect(session_) != 1)
            throw std::runtime_error("no TLS session");
    }
    tls_client(const tls_client&) = delete;
    ~tls_client() {
        SSL_free(session_);
        SSL_CTX_free(context_);
    }
    // One record for each piece of at most 16 KiB. False when the server takes no more.
    bool send(std::string_view bytes) {
        return SSL_write(session_, bytes.data(), static_cast<int>(bytes.size())) > 0;
    }
    std::string take(std::size_t size) {
        while (received_.size() < size)
            if (!fill())
                throw std::runtime_error("the server closed the connection too early");
        auto taken = received_.substr(0, size);
        received_.erase(0, size);
        return taken;
    }
    std::string take_through(std::string_view mark) {
        while (received_.find(mark) == std::string::npos)
            if (!fill())
                throw std::runtime_error("the server closed the connection too early");
        return take(received_.find(mark) + mark.size());
    }
    // The body of the next answer.
    std::string answer_body() {
        answer got;
        got.head = take_through("\r\n\r\n");
        return take(std::stoul("0" + got.header("Content-Length")));
    }
    // The code of the close frame; frames before it are skipped.
    std::uint16_t close_code() {
        for (;;) {
            const auto head = take(2);
            std::size_t size = static_cast<unsigned char>(head[1]);
            if (size == 126) {
                const auto longer = take(2);
                size = static_cast<std::size_t>(static_cast<unsigned char>(longer[0])) << 8 |
                       static_cast<unsigned char>(longer[1]);
            }
            const ws_frame got{head[0] & 0x0f, false, take(size)};
            if (got.opcode == 8)
                return got.close_code();
        }
    }

private:
    bool fill() {
        char piece[16 * 1024];
        const int got = SSL_read(session_, piece, sizeof piece);
        if (got > 0)
            received_.append(piece, static_cast<std::size_t>(got));
        return got > 0;
    }
    client plain_;
    SSL_CTX* context_;
    SSL* session_;
    std::string received_;
};

task<response> count_slowly(request& asked) {
    std::uint64_t bytes_seen = 0;
    for (;;) {
        auto next = asked.stream->next();
        const auto piece = co_await std::move(next);
        if (piece.empty())
            break;
        bytes_seen += piece.size();
        auto slow = blocking([] {});
        co_await slow;
    }
    co_return text_response(std::to_string(bytes_seen));
}

class flooding final : public consumer {
public:
    static event_handlers events() { return {on("flood", &flooding::flood)}; }

private:
    task<> on_connect(const scope&) override {
        join("all");
        accept();
        return {};
    }
    task<> on_receive(message received) override {
        send(received);
        return {};
    }
    void flood(const event&) {
        for (int i = 0; i < 25; ++i)
            send(std::string(10'000, 'f'));
    }
};

routes table() {
    return {get("/large/", [](request&) { return text_response(std::string(4'000'000, 'l')); }),
            post("/count/", count_slowly).stream_body().max_body(64u << 20),
            websocket<flooding>("/ws/")};
}

} // namespace

TEST_CASE("large bodies go both ways under TLS, with a handler that is slower than the client") {
    const own_certificate own;
    test_setup setup;
    setup.tls = &*own.context;
    setup.limit.body_buffer_bytes_max = 20'000;
    test_server server(table(), setup);
    tls_client browser(server.port());
    CHECK(browser.send(request_text("GET", "/large/")));
    CHECK(browser.answer_body().size() == 4'000'000);
    CHECK(browser.send(request_text("POST", "/count/", {}, std::string(3'000'000, 'u'))));
    CHECK(browser.answer_body() == "3000000");
}

TEST_CASE("records that follow a protocol error or a close frame at once harm nobody") {
    const own_certificate own;
    test_setup setup;
    setup.tls = &*own.context;
    test_server server(table(), setup);
    for (const auto& last_word : {std::string("\xff\xff\xff"), frames::close(1000)})
        for (int i = 0; i < 20; ++i) {
            tls_client rude(server.port());
            CHECK(rude.send(ws_client::handshake("/ws/")));
            rude.take_through("\r\n\r\n");
            CHECK(rude.send(last_word));
            for (int k = 0; k < 10 && rude.send(frames::text("more")); ++k) {
            }
        }
    tls_client polite(server.port());
    CHECK(polite.send(ws_client::handshake("/ws/")));
    CHECK(polite.take_through("\r\n\r\n").starts_with("HTTP/1.1 101"));
}

TEST_CASE("a slow client is told 4408 under TLS too") {
    const own_certificate own;
    test_setup setup;
    setup.tls = &*own.context;
    setup.limit.outbox_bytes_soft = 100'000;
    setup.limit.outbox_bytes_max = 300'000;
    test_server server(table(), setup);
    tls_client slow(server.port(), 4096);
    CHECK(slow.send(ws_client::handshake("/ws/")));
    slow.take_through("\r\n\r\n");
    for (int i = 0; i < 40; ++i) {
        CHECK(server.layer().group_send("all", event("flood", {})));
        server.on_shard(0, [] {});
    }
    CHECK(server.metric("carillon_slow_closed_total") == 1);
    CHECK(slow.close_code() == 4408);
}

TEST_CASE("a wrong certificate or key is named") {
    const own_certificate own;
    const auto missing = net::tls_context::load("/nonexistent.crt", "/nonexistent.key");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("/nonexistent.crt") != std::string::npos);
    const auto no_key = net::tls_context::load(own.certificate_file(), own.certificate_file());
    REQUIRE_FALSE(no_key);
    CHECK(no_key.error().message.find("TLS key") != std::string::npos);
}
