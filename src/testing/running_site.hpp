// running_site: what a test_site runs, and which of its connections have ended.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "net/local_socket.hpp"
#include "web/memory_site.hpp"
#include <carillon/base/clock.hpp>
#include <carillon/testing/communicator.hpp>

namespace carillon::testing {

class running_site {
public:
    running_site(const std::function<routes(channel_layer&)>& make, const test_site_options& given);

    channel_layer& layer() noexcept { return site_.layer(); }
    // What requests name: the first of allowed_hosts as a host.
    const std::string& host() const noexcept { return host_; }

    // A connection is known by the server's descriptor.
    struct ends {
        net::local_socket client;
        int served;
    };
    // Throws carillon::error (unavailable).
    ends connect();
    // Waits until nothing of the connection is left in the server. False at the deadline.
    bool wait_until_ended(int served, steady_time deadline);

private:
    const std::string host_;
    std::mutex guard_;
    std::condition_variable changed_;
    std::set<int> served_;
    web::memory_site site_; // ends first: its shards tell of burials
};

} // namespace carillon::testing
