// memory_site: a whole site in this process over the memory layer: its parts, made and ended in the right order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "channels/memory_layer.hpp"
#include "net/acceptor.hpp"
#include "web/site.hpp"
#include <carillon/base/limits.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/web/routes.hpp>

namespace carillon::web {

struct memory_site_options {
    limits limit;
    site_options options;
    std::uint32_t shards = 1;
    std::uint32_t pool_threads = 2;
    channel_layer_options channels;
    const net::tls_context* tls = nullptr; // outlives the site
    logger* log = nullptr;                 // outlives the site; null says nothing
    channel_layer* layer = nullptr;        // instead of the site's own; outlives it
    // Instead of the site's own; outlives the site, and is not read after it.
    metrics* counters = nullptr;
};

class memory_site {
public:
    // `make` gets the layer through which handlers publish. Without listeners it serves what shards().adopt() is given.
    memory_site(const std::function<routes(channel_layer&)>& make, const memory_site_options& given,
                std::vector<net::listener> listeners);
    memory_site(const memory_site&) = delete;
    ~memory_site();

    void start();
    // As net::server::stop().
    void stop() { server_->stop(); }

    // The site's own, or the one that it was given.
    channel_layer& layer() noexcept { return used_layer_; }
    channels::hub& members() noexcept { return members_; }
    net::server& shards() noexcept { return *server_; }
    const metrics& counted() const noexcept { return used_counters_; }

private:
    metrics counters_;
    metrics& used_counters_;
    net::blocking_pool pool_;
    net::environment environment_;
    channels::hub members_;
    channels::mailboxes boxes_;
    channels::memory_layer layer_;
    channel_layer& used_layer_;
    site site_;
    std::unique_ptr<net::server> server_;
};

} // namespace carillon::web
