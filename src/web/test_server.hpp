// A whole server inside a test: environment, hub, layer, site and shards on a free port of 127.0.0.1.
#pragma once

#include <charconv>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "channels/memory_layer.hpp"
#include "net/acceptor.hpp"
#include "web/http_session.hpp"
#include "web/test_client.hpp"

namespace carillon::web::test {

// What another thread tells a test, in order.
class told {
public:
    void add(std::string what) {
        std::lock_guard lock(guard_);
        lines_.push_back(std::move(what));
        changed_.notify_all();
    }
    // The lines, as soon as there are that many; fewer when they do not come in time.
    std::vector<std::string> wait_for(std::size_t count) {
        std::unique_lock lock(guard_);
        changed_.wait_for(lock, std::chrono::seconds(patience_seconds),
                          [&] { return lines_.size() >= count; });
        return lines_;
    }

private:
    std::mutex guard_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
};

// Something that a handler waits for until the test lets it go on.
class gate {
public:
    void open() {
        std::lock_guard lock(guard_);
        open_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock lock(guard_);
        changed_.wait_for(lock, std::chrono::seconds(patience_seconds), [&] { return open_; });
    }

private:
    std::mutex guard_;
    std::condition_variable changed_;
    bool open_ = false;
};

struct test_setup {
    limits limit;
    site_options options;
    std::uint32_t shards = 1;
    std::uint32_t pool_threads = 2;
    channel_layer_options channels;
    const net::tls_context* tls = nullptr; // outlives the server
    channel_layer* layer = nullptr;        // instead of the server's own; outlives it
};

class test_server {
public:
    explicit test_server(routes table, test_setup setup = {})
        : limit_(quick(setup.limit)),
          pool_(setup.pool_threads, limit_.blocking_queue_max, counted_), environment_{limit_,
                                                                                       silent_log(),
                                                                                       counted_,
                                                                                       pool_},
          members_(counted_), boxes_(setup.channels, counted_), layer_(members_, boxes_),
          site_(std::move(table), setup.options, limit_, counted_, silent_log(),
                setup.layer ? *setup.layer : layer_, members_, boxes_) {
        std::vector<net::listener> listeners;
        listeners.push_back(net::listener::open(*net::parse_bind_address("127.0.0.1:0")).value());
        const auto name = listeners.front().name();
        std::from_chars(name.data() + name.rfind(':') + 1, name.data() + name.size(), port_);
        server_ =
            std::make_unique<net::server>(setup.shards, environment_, std::move(listeners),
                                          setup.tls, [this](const net::peer_name& peer) {
                                              return std::make_unique<http_session>(site_, peer);
                                          });
        std::vector<net::shard*> shards;
        for (std::uint32_t i = 0; i < server_->size(); ++i)
            shards.push_back(&server_->at(i));
        members_.attach(std::move(shards));
        site_.prepare(server_->size(), counted_);
        server_->start();
    }
    ~test_server() {
        stop();
        pool_.stop();
        server_.reset();
    }

    std::uint16_t port() const noexcept { return port_; }
    channel_layer& layer() noexcept { return layer_; }
    channels::hub& members() noexcept { return members_; }
    net::server& shards() noexcept { return *server_; }
    void stop() { server_->stop(); }

    // Runs `work` on a shard, after everything that was posted to it before, and waits for its end.
    template <class F>
    void on_shard(std::uint32_t index, F work) {
        told done;
        server_->at(index).events().post([&] {
            work();
            done.add("done");
        });
        done.wait_for(1);
    }
    double metric(std::string_view name) const {
        double sum = 0;
        for (const auto& one : counted_.read())
            if (one.name == name)
                sum += one.value;
        return sum;
    }

private:
    // A test that fails shall not wait ten seconds for its server to end.
    static limits quick(limits given) {
        given.drain_timeout = std::min(given.drain_timeout, std::chrono::seconds(3));
        return given;
    }

    limits limit_;
    metrics counted_;
    net::blocking_pool pool_;
    net::environment environment_;
    channels::hub members_;
    channels::mailboxes boxes_;
    channels::memory_layer layer_;
    site site_;
    std::unique_ptr<net::server> server_;
    std::uint16_t port_ = 0;
};

} // namespace carillon::web::test
