// stop_signals: how a program is told to end: warm, cold or at once.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "net/loop.hpp"

namespace carillon::app {

// Of a program that was ended cold, or left handlers behind: that of Celery's workers.
inline constexpr int cold_exit_status = 1;

// How long handlers that are told to leave in a cold stop are waited for.
inline constexpr std::chrono::seconds cold_stop_limit{2};

// SIGTERM, SIGINT and SIGQUIT, blocked in every thread that starts after it was made.
class stop_signals {
public:
    stop_signals();
    ~stop_signals(); // as close()

    enum class way { warm, cold };
    // Blocks until the first signal, or ask(). SIGQUIT: cold.
    way wait();
    // Any thread: as a first signal. Without effect when there was one.
    void ask();
    // While the program ends warm: a further signal calls `quit` on a thread of its own and then ends the process with
    // cold_exit_status. After that every signal ends it at once, with 128 and its number.
    void expect_more(std::function<void()> quit);
    // What `quit` works on is about to go; a further signal ends the process at once. Does not return when `quit` has
    // begun: the process ends by it.
    void close();

    // Calls `quit`, writes what is buffered and ends the process, whatever its threads do.
    [[noreturn]] static void end_cold(const std::function<void()>& quit);

private:
    void watch(const std::function<void()>& quit);

    const net::unique_fd signals_, asked_, closed_;
    std::mutex guard_;
    bool quitting_ = false, closing_ = false;
    std::thread watcher_;
};

} // namespace carillon::app
