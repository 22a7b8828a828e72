#include "app/stop_signals.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <carillon/base/assert.hpp>

namespace carillon::app {

namespace {

sigset_t all_of_them() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGQUIT})
        sigaddset(&set, signal);
    return set;
}

int block_and_open() {
    const auto set = all_of_them();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC);
}

void raise_flag(int event) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(event, &one, sizeof one);
}

// The signal that came, or 0 when `event` was raised first.
int next_signal(int signals, int event) {
    pollfd ready[] = {{signals, POLLIN, 0}, {event, POLLIN, 0}};
    while (::poll(ready, 2, -1) < 0)
        CARILLON_ASSERT(errno == EINTR, "signals can be waited for");
    signalfd_siginfo which{};
    if (ready[0].revents == 0 || ::read(signals, &which, sizeof which) != sizeof which)
        return 0;
    return static_cast<int>(which.ssi_signo);
}

// From here on signals do what they do where nobody waits for them, but end the process for sure.
void end_at_once_on_signals() {
    const auto set = all_of_them();
    for (const int signal : {SIGINT, SIGTERM, SIGQUIT})
        std::signal(signal, [](int again) { ::_exit(128 + again); });
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

} // namespace

stop_signals::stop_signals()
    : signals_(block_and_open()), asked_(::eventfd(0, EFD_CLOEXEC)),
      closed_(::eventfd(0, EFD_CLOEXEC)) {
    CARILLON_ASSERT(signals_ && asked_ && closed_, "a program has room for three descriptors");
}

stop_signals::~stop_signals() { close(); }

void stop_signals::ask() { raise_flag(asked_.get()); }

stop_signals::way stop_signals::wait() {
    return next_signal(signals_.get(), asked_.get()) == SIGQUIT ? way::cold : way::warm;
}

void stop_signals::expect_more(std::function<void()> quit) {
    watcher_ = std::thread([this, quit = std::move(quit)] { watch(quit); });
}

void stop_signals::watch(const std::function<void()>& quit) {
    if (next_signal(signals_.get(), closed_.get()) == 0)
        return;
    {
        std::lock_guard lock(guard_);
        if (closing_)
            return;
        quitting_ = true;
    }
    end_cold(quit);
}

void stop_signals::close() {
    {
        std::unique_lock lock(guard_);
        if (closing_)
            return;
        closing_ = !quitting_;
    }
    if (!closing_)
        for (;;)
            ::pause();
    raise_flag(closed_.get());
    if (watcher_.joinable())
        watcher_.join();
    end_at_once_on_signals(); // or nothing but a kill would reach a program that hangs at its end
}

void stop_signals::end_cold(const std::function<void()>& quit) {
    end_at_once_on_signals();
    quit();
    std::fflush(nullptr);
    ::_exit(cold_exit_status);
}

} // namespace carillon::app
