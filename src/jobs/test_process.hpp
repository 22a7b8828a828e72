// For tests: another process of the test program, which runs one of the test cases that are skipped otherwise.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/error.hpp>

namespace carillon::testing {

inline constexpr const char* told_variable = "CARILLON_TEST_TOLD";

inline void require(bool good, const char* otherwise) {
    if (!good)
        throw error(errc::unavailable, otherwise);
}

inline std::string told_by_parent() {
    const char* told = ::getenv(told_variable);
    require(told != nullptr, "the test that starts this case says nothing");
    return told;
}

// Another process of this program that runs one test case. Killed at the end, if not before.
class other_process {
public:
    // The child asks for `told` by told_by_parent().
    other_process(const char* test_case, const std::string& told) {
        int ends[2];
        require(::pipe2(ends, O_CLOEXEC) == 0, "no pipe");
        output_ = ends[0];
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        std::string pick = std::string("--test-case=") + test_case;
        std::string program = "test_jobs", no_skip = "--no-skip", what = told_variable;
        what += "=" + told;
        char* arguments[] = {program.data(), no_skip.data(), pick.data(), nullptr};
        std::vector<char*> environment{what.data()};
        for (char** each = environ; *each; ++each)
            environment.push_back(*each);
        environment.push_back(nullptr);
        const int failed = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments,
                                         environment.data());
        posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        require(failed == 0, "the other process could not be started");
    }
    ~other_process() {
        kill();
        ::close(output_);
    }
    other_process(const other_process&) = delete;
    other_process& operator=(const other_process&) = delete;

    void kill() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    // The next line it prints that begins with `mark`, without the mark; empty at its end.
    std::string line(std::string_view mark) {
        for (;;) {
            const auto end = unread_.find('\n');
            if (end == std::string::npos) {
                char block[4096];
                const auto n = ::read(output_, block, sizeof block);
                if (n <= 0)
                    return {};
                unread_.append(block, static_cast<std::size_t>(n));
                continue;
            }
            std::string text = unread_.substr(0, end);
            unread_.erase(0, end + 1);
            if (text.starts_with(mark))
                return text.substr(mark.size());
        }
    }

private:
    pid_t pid_ = 0;
    int output_ = -1;
    std::string unread_;
};

// A line for line().
inline void say(const std::string& text) {
    const auto line = text + "\n";
    require(::write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()),
            "nobody reads what this process says");
}

} // namespace carillon::testing
