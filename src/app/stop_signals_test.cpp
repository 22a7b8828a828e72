#include "app/stop_signals.hpp"

#include <csignal>
#include <cstdio>
#include <utility>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace carillon::app {

namespace {

// A program of its own that says, letter by letter, how far it has come.
class child {
public:
    template <class Program>
    explicit child(Program program) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        std::fflush(nullptr); // or the child would write it, too
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::alarm(20); // whatever becomes of the test
            ::close(ends[0]);
            program([to = ends[1]](char letter) {
                if (::write(to, &letter, 1) != 1)
                    ::_exit(99);
            });
            ::_exit(0);
        }
        ::close(ends[1]);
        from_ = net::unique_fd(ends[0]);
    }
    ~child() {
        if (pid_ > 0)
            end();
    }
    // The next letter; a dot where it has ended.
    char next() const {
        char letter = '.';
        return ::read(from_.get(), &letter, 1) == 1 ? letter : '.';
    }
    void signal(int which) const { ::kill(pid_, which); }
    // Its exit status.
    int end() {
        int status = 0;
        ::waitpid(std::exchange(pid_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    pid_t pid_ = 0;
    net::unique_fd from_;
};

// Waits to be told to end, then for ever in a warm stop, which says `q` when it is cut short.
template <class Say>
void stop_for_ever(stop_signals& signals, Say say) {
    const auto quit = [&] { say('q'); };
    if (signals.wait() == stop_signals::way::cold)
        stop_signals::end_cold(quit);
    signals.expect_more(quit);
    say('w');
    for (;;)
        ::pause();
}

} // namespace

TEST_CASE("the first signal stops warm, the second cold") {
    for (const int second : {SIGTERM, SIGINT, SIGQUIT}) {
        child program([](auto say) {
            stop_signals signals;
            say('r');
            stop_for_ever(signals, say);
        });
        CHECK(program.next() == 'r');
        program.signal(SIGTERM);
        CHECK(program.next() == 'w');
        program.signal(second);
        CHECK(program.next() == 'q');
        CHECK(program.end() == cold_exit_status);
    }
}

TEST_CASE("SIGQUIT stops cold at once") {
    child program([](auto say) {
        stop_signals signals;
        say('r');
        stop_for_ever(signals, say);
    });
    CHECK(program.next() == 'r');
    program.signal(SIGQUIT);
    CHECK(program.next() == 'q');
    CHECK(program.end() == cold_exit_status);
}

TEST_CASE("who asks from inside is a first signal, and never a second one") {
    child program([](auto say) {
        stop_signals signals;
        signals.ask();
        signals.ask();
        const bool warm = signals.wait() == stop_signals::way::warm;
        signals.expect_more([&] { say('q'); });
        signals.ask();
        signals.close();
        say(warm ? 'w' : 'c');
    });
    CHECK(program.next() == 'w');
    CHECK(program.next() == '.');
    CHECK(program.end() == 0);
}

TEST_CASE(
    "a program that hangs at its end, or while it quits, is ended at once by a further signal") {
    child at_end([](auto say) {
        stop_signals signals;
        signals.ask();
        signals.wait();
        signals.expect_more([&] { say('q'); });
        signals.close();
        say('e');
        for (;;)
            ::pause();
    });
    CHECK(at_end.next() == 'e');
    at_end.signal(SIGTERM);
    CHECK(at_end.end() == 128 + SIGTERM);
    child quits([](auto say) {
        stop_signals::end_cold([&] {
            say('q');
            for (;;)
                ::pause();
        });
    });
    CHECK(quits.next() == 'q');
    quits.signal(SIGINT);
    CHECK(quits.end() == 128 + SIGINT);
}

} // namespace carillon::app
