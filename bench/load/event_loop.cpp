#include "load/event_loop.hpp"

#include <array>
#include <cerrno>
#include <ctime>

#include <sys/epoll.h>
#include <unistd.h>

#include "load/usage_error.hpp"

namespace carillon::bench {

std::uint64_t now_ns() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(t.tv_nsec);
}

event_loop::event_loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0)
        throw system_failure("epoll_create1");
}

event_loop::~event_loop() { close(epoll_); }

void event_loop::add(int descriptor, event_source& source, std::uint32_t events) {
    epoll_event e{};
    e.events = events;
    e.data.ptr = &source;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &e) < 0)
        throw system_failure("epoll_ctl");
}

void event_loop::change(int descriptor, event_source& source, std::uint32_t events) {
    epoll_event e{};
    e.events = events;
    e.data.ptr = &source;
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &e) < 0)
        throw system_failure("epoll_ctl");
}

void event_loop::poll(int timeout_ms) {
    std::array<epoll_event, 512> ready;
    int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), timeout_ms);
    if (count < 0 && errno != EINTR)
        throw system_failure("epoll_wait");
    for (int i = 0; i < count; ++i) {
        epoll_event& e = ready[static_cast<std::size_t>(i)];
        static_cast<event_source*>(e.data.ptr)->on_events(e.events);
    }
}

void event_loop::run_for(double seconds) {
    std::uint64_t end = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
    for (std::uint64_t t = now_ns(); t < end; t = now_ns()) {
        std::uint64_t left_ms = (end - t) / 1'000'000;
        poll(static_cast<int>(left_ms < 100 ? left_ms : 100));
    }
}

} // namespace carillon::bench
