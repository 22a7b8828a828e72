// event_loop: one epoll instance, and whatever waits on it.
//
// Not thread-safe. A source is registered by address and must outlive its registration; closing the
// descriptor ends it.
#pragma once

#include <cstdint>

namespace carillon::bench {

// Nanoseconds of CLOCK_MONOTONIC: the one clock of all latencies.
std::uint64_t now_ns() noexcept;

class event_source {
public:
    // `events` are epoll's EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR.
    virtual void on_events(std::uint32_t events) = 0;

protected:
    event_source() = default;
    event_source(const event_source&) = delete;
    event_source& operator=(const event_source&) = delete;
    ~event_source() = default;
};

class event_loop {
public:
    event_loop(); // throws carillon::error where the kernel gives no epoll
    ~event_loop();
    event_loop(const event_loop&) = delete;
    event_loop& operator=(const event_loop&) = delete;

    void add(int descriptor, event_source& source, std::uint32_t events);
    void change(int descriptor, event_source& source, std::uint32_t events);
    // Waits at most that long for the next events and hands them out; -1 waits for ever.
    void poll(int timeout_ms);
    void run_for(double seconds);

private:
    int epoll_;
};

} // namespace carillon::bench
