#include "web/memory_site.hpp"

#include "web/http_session.hpp"

namespace carillon::web {

namespace {

logger& log_of(const memory_site_options& given) noexcept {
    return given.log ? *given.log : silent_log();
}

} // namespace

memory_site::memory_site(const std::function<routes(channel_layer&)>& make,
                         const memory_site_options& given, std::vector<net::listener> listeners)
    : used_counters_(given.counters ? *given.counters : counters_),
      pool_(given.pool_threads, given.limit.blocking_queue_max, used_counters_),
      environment_{given.limit, log_of(given), used_counters_, pool_}, members_(used_counters_),
      boxes_(given.channels, used_counters_), layer_(members_, boxes_),
      used_layer_(given.layer ? *given.layer : layer_),
      site_(make(used_layer_), given.options, environment_.limit, used_counters_, log_of(given),
            used_layer_, members_, boxes_),
      server_(std::make_unique<net::server>(given.shards, environment_, std::move(listeners),
                                            given.tls, [this](const net::peer_name& peer) {
                                                return std::make_unique<http_session>(site_, peer);
                                            })) {
    std::vector<net::shard*> shards;
    for (std::uint32_t i = 0; i < server_->size(); ++i)
        shards.push_back(&server_->at(i));
    members_.attach(std::move(shards));
    site_.prepare(server_->size(), used_counters_);
}

memory_site::~memory_site() {
    stop();
    pool_.stop();
    server_.reset();
}

void memory_site::start() { server_->start(); }

} // namespace carillon::web
