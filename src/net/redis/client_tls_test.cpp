// Redis under TLS, with authorities made for the test by the openssl command.
#include <doctest/doctest.h>

#include "net/redis/test_redis.hpp"
#include "net/redis/test_witness.hpp"

using namespace carillon;
using namespace carillon::net::redis;
using namespace carillon::net::redis::test;
using namespace std::chrono_literals;

namespace {

void run(std::vector<std::string> arguments) {
    process child(arguments, "PATH=/usr/bin");
    if (child.wait() != 0)
        throw std::runtime_error("openssl failed");
}

// Two authorities, a server's certificate of the first for `names`, and a client's.
class certificates {
public:
    explicit certificates(const std::string& names) {
        authority("ca");
        authority("other_ca");
        certificate("server", "subjectAltName=" + names);
        certificate("client", "extendedKeyUsage=clientAuth");
    }
    std::string file(const std::string& name) const { return folder_.file(name); }
    std::vector<std::string> of_server(const std::string& clients) const {
        return {"--tls-port",         std::to_string(port),
                "--tls-cert-file",    file("server.pem"),
                "--tls-key-file",     file("server.key"),
                "--tls-ca-cert-file", file("ca.pem"),
                "--tls-auth-clients", clients};
    }
    const std::uint16_t port = free_port();

private:
    void authority(const std::string& name) {
        run({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=" + name, "-keyout",
             file(name + ".key"), "-out", file(name + ".pem")});
    }
    void certificate(const std::string& name, const std::string& extension) {
        run({"/usr/bin/openssl",
             "req",
             "-x509",
             "-newkey",
             "ec",
             "-pkeyopt",
             "ec_paramgen_curve:P-256",
             "-nodes",
             "-days",
             "1",
             "-subj",
             "/CN=" + name,
             "-addext",
             extension,
             "-addext",
             "basicConstraints=critical,CA:FALSE",
             "-CA",
             file("ca.pem"),
             "-CAkey",
             file("ca.key"),
             "-keyout",
             file(name + ".key"),
             "-out",
             file(name + ".pem")});
    }
    folder folder_;
};

std::string trouble_of(const std::string& url, std::chrono::milliseconds timeout = 10s) {
    const auto answer = ask(parse_addresses(url).value().hosts[0], {"PING"}, timeout);
    return answer ? "" : answer.error().message;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("TLS carries commands and replies of any size, and comes back after a kill") {
    if (no_redis())
        return;
    const certificates made("IP:127.0.0.1");
    server redis(made.of_server("no"));
    loop_thread on;
    witness tester(on, "rediss://127.0.0.1:" + std::to_string(made.port) +
                           "?ssl_ca_certs=" + made.file("ca.pem"));
    REQUIRE(tester.wait_up());
    const std::string large(5'000'000, 'x');
    CHECK(tester.ask({"SET", "large", large})->text == "OK");
    CHECK(tester.ask({"GET", "large"})->text == large);
    std::vector<std::int64_t> numbers;
    std::promise<void> all;
    tester.call([&](client& c) {
        for (int i = 0; i < 2'000; ++i)
            c.send({"INCR", "n"}, [&](result<reply> got) {
                numbers.push_back(got->number);
                if (numbers.size() == 2'000)
                    all.set_value();
            });
    });
    all.get_future().get();
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    CHECK(numbers.back() == 2'000);
    redis.kill();
    REQUIRE(tester.wait_down());
    redis.restart();
    REQUIRE(tester.wait_up(2));
    CHECK(tester.ask({"PING"})->text == "PONG");
}

TEST_CASE("only a certificate of the right authority for the right host is taken") {
    if (no_redis())
        return;
    const certificates made("DNS:localhost,DNS:*.example.org");
    server redis(made.of_server("no"));
    const auto port = ":" + std::to_string(made.port);
    const auto ca = "?ssl_ca_certs=" + made.file("ca.pem");
    CHECK(trouble_of("rediss://localhost" + port + ca).empty());
    CHECK(holds(trouble_of("rediss://127.0.0.1" + port + ca), "IP address mismatch"));
    CHECK(holds(
        trouble_of("rediss://localhost" + port + "?ssl_ca_certs=" + made.file("other_ca.pem")),
        "certificate"));
    CHECK(holds(trouble_of("rediss://localhost" + port), "certificate"));
    CHECK(trouble_of("rediss://127.0.0.1" + port + "?ssl_cert_reqs=none").empty());
    CHECK(holds(trouble_of("rediss://localhost" + port + "?ssl_ca_certs=/nonexistent.pem"),
                "/nonexistent.pem cannot be used"));
    CHECK(holds(trouble_of("rediss://localhost:" + std::to_string(redis.port()) + ca, 300ms),
                "no TLS session in time"));
    CHECK_FALSE(trouble_of("redis://localhost" + port).empty()); // in clear to a TLS port
}

TEST_CASE("a certificate for another host is refused") {
    if (no_redis())
        return;
    const certificates made("DNS:redis.example.org");
    server redis(made.of_server("no"));
    CHECK(holds(trouble_of("rediss://localhost:" + std::to_string(made.port) +
                           "?ssl_ca_certs=" + made.file("ca.pem")),
                "hostname mismatch"));
}

TEST_CASE("a client shows its certificate where one is asked for") {
    if (no_redis())
        return;
    const certificates made("IP:127.0.0.1");
    server redis(made.of_server("yes"));
    const auto url =
        "rediss://127.0.0.1:" + std::to_string(made.port) + "?ssl_ca_certs=" + made.file("ca.pem");
    CHECK(trouble_of(url + "&ssl_certfile=" + made.file("client.pem") +
                     "&ssl_keyfile=" + made.file("client.key"))
              .empty());
    CHECK_FALSE(trouble_of(url).empty());
    CHECK(holds(trouble_of(url + "&ssl_certfile=" + made.file("client.pem") +
                           "&ssl_keyfile=" + made.file("ca.key")),
                "TLS key"));
}
