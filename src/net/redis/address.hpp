// Where Redis is: the URLs of settings, parsed.
//
//     redis://[[user]:password@]host[:6379][/db]     rediss:// the same with TLS
//     unix://[[user]:password@]/path/to/socket[?db=0]
//     redis+sentinel://[[user]:password@]h1[:26379],h2,h3/master[/db]
//     redis+pubsub://…, rediss+pubsub://, unix+pubsub://, redis+pubsub+sentinel://…  the wire of channels_redis.pubsub
//
// Several hosts with commas are shards, in order; a host without a scheme takes scheme, user, password, database and
// parameters from the one before it. A database or parameters that the first of them does not have are an error at a
// later one, since they might be meant for all. After a sentinel scheme, hosts without a scheme are further Sentinels
// of that entry; the path may stand after the last of them. rediss+sentinel:// is TLS to the Sentinels and to the master.
// User, password, master, the socket's path and parameters are percent-decoded. An empty host is localhost.
// Query parameters: ssl_ca_certs=FILE, ssl_certfile=FILE, ssl_keyfile=FILE, ssl_cert_reqs=required|none, db=N (before
// the path's), sentinel_username, sentinel_password; any other is an error that names it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/result.hpp>

namespace carillon::net::redis {

struct endpoint {
    std::string host; // a name or an address; empty for a unix socket
    std::uint16_t port = 6379;
    std::string path; // of the unix socket
};

// One server, or the Sentinels that know it. Holds secrets: never log it, log name().
struct address {
    std::vector<endpoint> servers; // one; with Sentinel every Sentinel
    std::string master;            // not empty: ask the Sentinels where the master of this name is
    std::string username, password;
    std::string sentinel_username, sentinel_password;
    std::uint32_t database = 0;
    bool tls = false;
    bool verify = true;                     // the server's certificate and host name
    std::string ca_file;                    // empty: the system's authorities
    std::string certificate_file, key_file; // of this client; empty: none

    // Without secrets: "redis://127.0.0.1:6379/0", "redis+sentinel://h1:26379,h2:26379/mymaster/0",
    // "unix:///run/redis.sock?db=0".
    std::string name() const;
};

struct addresses {
    bool pubsub = false;        // the wire of channels_redis.pubsub instead of core
    std::vector<address> hosts; // the shards, in order; never empty
};

// errc::invalid says which part is wrong and how it should look, without repeating a password.
result<addresses> parse_addresses(std::string_view urls);

} // namespace carillon::net::redis
