#include "testing/running_site.hpp"

#include <algorithm>

namespace carillon::testing {

namespace {

web::memory_site_options options_of(const test_site_options& given) {
    web::memory_site_options made;
    made.limit = given.limit;
    // A test that fails shall not wait long for its site to end.
    made.limit.drain_timeout = std::min(given.limit.drain_timeout, std::chrono::seconds(3));
    made.options.allowed_hosts = given.allowed_hosts;
    made.shards = std::max(1u, given.threads);
    made.pool_threads = std::max(1u, given.blocking_threads);
    made.channels = given.layer;
    made.log = given.log;
    return made;
}

// Of Django's forms: "*" allows any host, ".example.org" a domain and all below it.
std::string host_among(const std::vector<std::string>& allowed) {
    if (allowed.empty() || allowed.front() == "*")
        return "testserver";
    const auto& first = allowed.front();
    return first.starts_with('.') ? first.substr(1) : first;
}

} // namespace

running_site::running_site(const std::function<routes(channel_layer&)>& make,
                           const test_site_options& given)
    : host_(host_among(given.allowed_hosts)), site_(make, options_of(given), {}) {
    for (std::uint32_t i = 0; i < site_.shards().size(); ++i)
        site_.shards().at(i).on_burial([this](int descriptor) {
            std::lock_guard lock(guard_);
            const auto dead = std::ranges::find(alive_, descriptor, &alive::descriptor);
            if (dead != alive_.end())
                alive_.erase(dead);
            changed_.notify_all();
        });
    site_.start();
}

running_site::ends running_site::connect() {
    auto [client, server] = net::local_socket::pair().value();
    std::unique_lock lock(guard_);
    const auto served = ++connected_;
    alive_.push_back({server.descriptor(), served});
    lock.unlock();
    if (site_.shards().adopt(net::unique_fd(server.release()), net::peer_name::loopback()))
        return {std::move(client), served};
    lock.lock();
    std::erase_if(alive_, [served](const alive& one) { return one.served == served; });
    throw error(errc::unavailable, "the site has limits::connections_max connections");
}

bool running_site::wait_until_ended(std::uint64_t served, steady_time deadline) {
    std::unique_lock lock(guard_);
    return changed_.wait_until(lock, deadline, [&] {
        return std::ranges::find(alive_, served, &alive::served) == alive_.end();
    });
}

test_site::test_site(std::function<routes(channel_layer&)> make, test_site_options options)
    : running_(std::make_unique<running_site>(make, options)) {}
test_site::test_site(routes table, test_site_options options)
    : running_(std::make_unique<running_site>([&](channel_layer&) { return std::move(table); },
                                              options)) {}
test_site::~test_site() = default;
channel_layer& test_site::layer() noexcept { return running_->layer(); }

} // namespace carillon::testing
