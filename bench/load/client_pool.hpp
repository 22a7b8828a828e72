// client_pool: many WebSocket client connections on one loop.
//
// All connections read into one buffer; a connection owns memory only for an unfinished frame or
// for what its socket did not take. Pings are answered. Frames sent while one read is handled leave
// in one write.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>

#include "load/event_loop.hpp"
#include "load/frames.hpp"

namespace carillon::bench {

class client_pool;

enum class stage : std::uint8_t { closed, upgrading, open, closing };

class connection final : public event_source {
public:
    connection(client_pool& pool, std::uint32_t index) : pool_(pool), index_(index) {}
    void on_events(std::uint32_t events) override;

    std::uint32_t index() const noexcept { return index_; }
    bool is_open() const noexcept { return stage_ == stage::open; }
    std::uint64_t started_ns() const noexcept { return started_ns_; }

private:
    friend class client_pool;
    client_pool& pool_;
    std::uint32_t index_;
    int descriptor_ = -1;
    stage stage_ = stage::closed;
    bool waits_for_write_ = false;
    std::uint64_t started_ns_ = 0;
    std::string unread_;    // the beginning of a frame or of the handshake's answer
    std::string fragments_; // of a message that came in several frames
    std::string unsent_;
};

// What a measurement is told. A message's text is valid during the call only.
class pool_listener {
public:
    virtual void opened(connection&) {}
    virtual void message(connection&, std::string_view, std::uint64_t /*read_ns*/) {}
    // `why` is empty where the end was asked for by this side.
    virtual void closed(connection&, bool /*was_open*/, std::string_view /*why*/) {}

protected:
    ~pool_listener() = default;
};

struct pool_settings {
    target where;
    std::uint32_t conns = 1;
    std::uint32_t concurrency =
        32;                    // handshakes under way at once; below the server's listen backlog
    std::uint32_t sources = 1; // 127.0.0.1, .2, …: one address has about 28,000 ports
    double connect_timeout_s = 30;    // without any progress
    std::vector<std::string> headers; // "Name: value"
};

class client_pool {
public:
    client_pool(event_loop& loop, pool_settings settings, pool_listener& listener);
    ~client_pool();
    client_pool(const client_pool&) = delete;
    client_pool& operator=(const client_pool&) = delete;

    // Opens all; returns how many are open. connect_seconds() says how long it took.
    std::uint32_t connect_all();
    // Begins the connect of a closed one.
    void start(connection& c);
    // Queues a frame; flush(), or the end of the read that is being handled, sends it.
    void send(connection& c, opcode op, std::string_view payload);
    void flush(connection& c);
    // Sends close 1000; the connection ends when the server closes the socket.
    void close_politely(connection& c);

    std::deque<connection>& connections() noexcept { return connections_; }
    std::uint32_t open() const noexcept { return open_; }
    std::uint64_t failed() const noexcept { return failed_; }
    std::uint64_t pings() const noexcept { return pings_; }
    std::uint64_t reads() const noexcept { return reads_; }
    double connect_seconds() const noexcept { return connect_seconds_; }
    // How often each kind of end came.
    const std::map<std::string, std::uint64_t, std::less<>>& ends() const noexcept { return ends_; }

private:
    friend class connection;
    void handle(connection& c, std::uint32_t events);
    void end(connection& c, std::string_view why);
    bool bind_source(connection& c);
    void send_request(connection& c);
    void write_some(connection& c);
    void read_some(connection& c);
    std::size_t consume(connection& c, std::string_view data, std::uint64_t read_ns);
    std::size_t consume_answer(connection& c, std::string_view data);
    bool take_frame(connection& c, const frame_head& head, std::string_view payload,
                    std::uint64_t read_ns);
    std::uint32_t next_mask() noexcept;

    event_loop& loop_;
    pool_settings settings_;
    pool_listener& listener_;
    std::deque<connection> connections_;                    // the loop holds their addresses
    std::vector<std::pair<std::string, std::string>> keys_; // key and its answer
    std::string request_head_, buffer_;
    sockaddr_in address_{};
    std::uint32_t open_ = 0, opening_ = 0, next_source_ = 0, mask_ = 0x9e3779b9u;
    std::uint64_t failed_ = 0, pings_ = 0, reads_ = 0;
    double connect_seconds_ = 0;
    std::map<std::string, std::uint64_t, std::less<>> ends_;
};

} // namespace carillon::bench
