// running_site: what a test_site runs, and which of its connections have ended.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

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

    struct ends {
        net::local_socket client;
        std::uint64_t served; // the connection's number
    };
    // Throws carillon::error (unavailable).
    ends connect();
    // Waits until nothing of the connection is left in the server. False at the deadline.
    bool wait_until_ended(std::uint64_t served, steady_time deadline);

private:
    const std::string host_;
    std::mutex guard_;
    std::condition_variable changed_;
    // The oldest of one descriptor ends first: others get it only after that.
    struct alive {
        int descriptor;
        std::uint64_t served;
    };
    std::vector<alive> alive_;
    std::uint64_t connected_ = 0;
    web::memory_site site_; // ends first: its shards tell who was buried
};

} // namespace carillon::testing
