// A whole server inside a test, on a free port of 127.0.0.1, and what handlers and tests tell each other.
#pragma once

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "base/test_support.hpp"
#include "web/memory_site.hpp"
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

using test_setup = memory_site_options;

class test_server {
public:
    explicit test_server(routes table, test_setup setup = {})
        : site_([&](channel_layer&) { return std::move(table); }, quick(std::move(setup)),
                on_a_free_port()) {
        const auto name = site_.shards().listeners().front().name();
        std::from_chars(name.data() + name.rfind(':') + 1, name.data() + name.size(), port_);
        site_.start();
    }

    std::uint16_t port() const noexcept { return port_; }
    channel_layer& layer() noexcept { return site_.layer(); }
    channels::hub& members() noexcept { return site_.members(); }
    net::server& shards() noexcept { return site_.shards(); }
    void stop() { site_.stop(); }

    // Runs `work` on a shard, after everything that was posted to it before, and waits for its end.
    template <class F>
    void on_shard(std::uint32_t index, F work) {
        told done;
        shards().at(index).events().post([&] {
            work();
            done.add("done");
        });
        done.wait_for(1);
    }
    double metric(std::string_view name) const { return testing::sum_of(site_.counted(), name); }

private:
    // A test that fails shall not wait ten seconds for its server to end.
    static test_setup quick(test_setup given) {
        given.limit.drain_timeout = std::min(given.limit.drain_timeout, std::chrono::seconds(3));
        return given;
    }
    static std::vector<net::listener> on_a_free_port() {
        std::vector<net::listener> listeners;
        listeners.push_back(net::listener::open(*net::parse_bind_address("127.0.0.1:0")).value());
        return listeners;
    }

    memory_site site_;
    std::uint16_t port_ = 0;
};

} // namespace carillon::web::test
