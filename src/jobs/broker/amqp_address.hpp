// Where RabbitMQ is: the URLs of settings, parsed.
//
//     amqp://[user[:password]@]host[:5672][/vhost][?query]     amqps:// the same with TLS, port 5671
//
// Several URLs or hosts, separated by `;` or `,`, are tried in turn: the nodes of one cluster. A host without a scheme
// takes scheme, user, password and virtual host from the one before it. User, password and virtual host are
// percent-decoded; one slash before the virtual host is the separator, so that `/` and `//` both mean the virtual host
// "/". Without a user it is guest. Query parameters, which hold for all hosts: heartbeat=SECONDS, and for TLS
// cacertfile=FILE, certfile=FILE, keyfile=FILE, verify=verify_peer|verify_none; any other is an error that names it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/stream.hpp"
#include <carillon/base/result.hpp>

namespace carillon::jobs::amqp {

// Holds secrets: log name().
struct endpoint {
    std::string host;
    std::uint16_t port = 5672;
    std::string user = "guest", password = "guest", vhost = "/";
    bool tls = false;

    std::string name() const; // "amqp://127.0.0.1:5672//", "amqps://[::1]:5671/jobs"
};

struct address {
    std::vector<endpoint> hosts; // never empty
    net::tls_client_options tls;
    std::optional<std::uint16_t> heartbeat; // seconds

    std::string name() const; // of all hosts, with commas
};

// errc::invalid says which part is wrong and how it should look, without repeating a password.
result<address> parse_address(std::string_view urls);

} // namespace carillon::jobs::amqp
