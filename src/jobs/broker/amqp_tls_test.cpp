// RabbitMQ under TLS, with authorities made for the test by the openssl command.
#include <doctest/doctest.h>

#include "jobs/broker/amqp_test.hpp"

using namespace carillon;
using namespace carillon::jobs;
using namespace carillon::jobs::amqp::test;
using namespace std::chrono_literals;

namespace {

void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "/usr/bin/openssl");
    process child(arguments, "PATH=/usr/bin");
    if (child.wait() != 0)
        throw std::runtime_error("openssl failed");
}

void make_authority(const folder& in, const std::string& name) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "1", "-subj", "/CN=" + name, "-keyout", in.file(name + ".key"), "-out",
             in.file(name + ".pem")});
}

void make_certificate(const folder& in, const std::string& name, const std::string& extension) {
    openssl({"req",
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
             in.file("ca.pem"),
             "-CAkey",
             in.file("ca.key"),
             "-keyout",
             in.file(name + ".key"),
             "-out",
             in.file(name + ".pem")});
}

} // namespace

TEST_CASE(
    "TLS towards RabbitMQ checks the server, shows a certificate and carries large messages") {
    if (no_rabbitmq())
        return;
    const folder files;
    make_authority(files, "ca");
    make_authority(files, "other");
    make_certificate(files, "server", "subjectAltName=IP:127.0.0.1");
    make_certificate(files, "client", "extendedKeyUsage=clientAuth");
    const auto port = std::to_string(free_port());
    rabbitmq secured(
        "listeners.ssl.1 = 127.0.0.1:" + port + "\nssl_options.cacertfile = " +
        files.file("ca.pem") + "\nssl_options.certfile = " + files.file("server.pem") +
        "\nssl_options.keyfile = " + files.file("server.key") +
        "\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n");
    const auto client =
        "&certfile=" + files.file("client.pem") + "&keyfile=" + files.file("client.key");
    const auto url = [&](const std::string& host, const std::string& query) {
        return "amqps://" + host + ":" + port + "//?" + query;
    };

    const std::string body(5'000'000, 'x');
    peer good(url("127.0.0.1", "cacertfile=" + files.file("ca.pem") + client));
    good.consume({"tls"}, 10);
    REQUIRE(good.publish("tls", task_parts("a", body)));
    const auto got = good.next();
    CHECK(got.parts.body == body);
    good.at->ack(got.tag);
    for (int i = 0; i < 500; ++i)
        good.at->publish("tls", task_parts(std::to_string(i)), nullptr);
    for (int i = 0; i < 500; ++i) {
        const auto one = good.next();
        CHECK(id_of(one.parts) == std::to_string(i));
        good.at->ack(one.tag);
    }
    CHECK(good.wait_depth("tls", 0));
    secured.control({"close_all_connections", "a test"});
    CHECK(good.wait_up(2));

    peer unchecked(url("127.0.0.1", "verify=verify_none" + client));
    CHECK(unchecked.wait_up());

    const auto trouble = [&](const std::string& host, const std::string& query) {
        peer bad(url(host, query));
        bad.log.lines.wait_count(1);
        const auto status = bad.at->status();
        return status ? "" : status.error().message;
    };
    CHECK(trouble("127.0.0.1", "cacertfile=" + files.file("other.pem") + client)
              .find("no TLS session") != std::string::npos);
    CHECK(trouble("localhost", "cacertfile=" + files.file("ca.pem") + client)
              .find("no TLS session") != std::string::npos);
    CHECK(trouble("127.0.0.1", "cacertfile=" + files.file("none.pem") + client).find("none.pem") !=
          std::string::npos);
    CHECK(trouble("127.0.0.1", "cacertfile=" + files.file("ca.pem")) != ""); // it wants ours
}
