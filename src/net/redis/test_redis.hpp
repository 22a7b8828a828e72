// Redis servers for tests: the real redis-server, on a free port of 127.0.0.1 and a unix socket, in a folder of its own
// that is gone at the end. Without persistence.
#pragma once

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/loop.hpp"

namespace carillon::net::redis::test {

constexpr int patience_milliseconds = 20'000;

// For the first line of a test: prints why when there is no Redis to test with.
inline bool no_redis() {
    if (std::filesystem::exists("/usr/bin/redis-server"))
        return false;
    std::puts("skipped: /usr/bin/redis-server is not installed");
    return true;
}

// Nobody listens on it now. The system takes none of these for outgoing connections, so that it stays free while its
// server is down.
inline std::uint16_t free_port() {
    constexpr int first = 10'000;
    int outgoing_from = 0;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> outgoing_from;
    std::random_device source;
    std::uniform_int_distribution<int> any(first, std::max(outgoing_from, first + 1'000) - 1);
    for (;;) {
        const unique_fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (probe.get() < 0)
            throw std::runtime_error("no socket to look for a free port with");
        const auto port = static_cast<std::uint16_t>(any(source));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            return port;
    }
}

class folder {
public:
    folder() {
        auto name = (std::filesystem::temp_directory_path() / "carillon_redis_XXXXXX").string();
        if (!::mkdtemp(name.data()))
            throw std::runtime_error("no temporary folder");
        path_ = name;
    }
    folder(const folder&) = delete;
    ~folder() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

// A child that ends with the test, by its own process id.
class process {
public:
    process() = default;
    process(const std::vector<std::string>& arguments, const std::string& environment) {
        std::vector<char*> argv;
        for (const auto& one : arguments)
            argv.push_back(const_cast<char*>(one.c_str()));
        argv.push_back(nullptr);
        char* envp[] = {const_cast<char*>(environment.c_str()), nullptr};
        const auto parent = ::getpid();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
            for (int fd = 0; fd <= 2; ++fd)
                ::dup2(nowhere, fd);
            if (::getppid() == parent)
                ::execve(argv[0], argv.data(), envp);
            ::_exit(127);
        }
        if (pid_ < 0)
            throw std::runtime_error("no process");
        ended_ = unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    }
    process(process&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), ended_(std::move(other.ended_)) {}
    process& operator=(process&& other) noexcept {
        std::swap(pid_, other.pid_);
        std::swap(ended_, other.ended_);
        return *this;
    }
    ~process() { end(SIGKILL); }

    // Sends the signal and waits for the end; kills what does not end in time.
    void end(int how) {
        if (pid_ < 0)
            return;
        ::kill(pid_, how);
        ::kill(pid_, SIGCONT);
        pollfd exit{ended_.get(), POLLIN, 0};
        if (::poll(&exit, 1, patience_milliseconds) == 0)
            ::kill(pid_, SIGKILL);
        ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    }
    // The exit code of a process that ends by itself; -1 when a signal ended it.
    int wait() {
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    void signal(int which) { ::kill(pid_, which); }
    // True when `other` becomes readable before this process ends.
    bool outlives(int other) const {
        pollfd either[2] = {{other, POLLIN, 0}, {ended_.get(), POLLIN, 0}};
        return ::poll(either, 2, patience_milliseconds) > 0 && (either[0].revents & POLLIN);
    }
    pid_t id() const noexcept { return pid_; }

private:
    pid_t pid_ = -1;
    unique_fd ended_;
};

// A server that has said that it is ready. All from the thread that made it.
class server {
public:
    // `arguments` are those of redis-server, such as {"--requirepass", "secret"}.
    explicit server(std::vector<std::string> arguments = {}) : arguments_(std::move(arguments)) {
        for (int attempt = 0;; ++attempt) { // another program may have taken the port meanwhile
            port_ = free_port();
            if (start())
                return;
            if (attempt == 4)
                throw std::runtime_error("redis-server does not start");
        }
    }
    ~server() { kill(); }

    std::uint16_t port() const noexcept { return port_; }
    std::string socket_path() const { return folder_.file("redis.sock"); }
    std::string file(const std::string& name) const { return folder_.file(name); }
    // "redis://127.0.0.1:PORT"
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

    void stop() { process_.end(SIGTERM); }
    void kill() { process_.end(SIGKILL); } // nothing is flushed, nobody is told
    void restart() {                       // on the same port, after stop() or kill()
        if (!start())
            throw std::runtime_error("redis-server does not start again");
    }
    void pause() { process_.signal(SIGSTOP); }
    void resume() { process_.signal(SIGCONT); }

private:
    // The server tells readiness as it tells systemd.
    bool start() {
        const auto notify = folder_.file("notify");
        std::filesystem::remove(notify);
        const unique_fd told(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        notify.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(told.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("no socket for readiness");
        process_ = process(command_line(), "NOTIFY_SOCKET=" + notify);
        char word[256];
        while (process_.outlives(told.get())) {
            const auto size = ::recv(told.get(), word, sizeof word, 0);
            if (size > 0 &&
                std::string_view(word, static_cast<std::size_t>(size)).find("READY=1") !=
                    std::string_view::npos)
                return true;
        }
        process_ = process();
        return false;
    }

    std::vector<std::string> command_line() const {
        // a file, since Sentinel writes its state there
        const auto settings = folder_.file("redis.conf");
        std::ofstream(settings).flush();
        std::vector<std::string> line{"/usr/bin/redis-server",
                                      settings,
                                      "--port",
                                      std::to_string(port_),
                                      "--bind",
                                      "127.0.0.1",
                                      "--unixsocket",
                                      socket_path(),
                                      "--dir",
                                      folder_.file(""),
                                      "--supervised",
                                      "systemd",
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "no"};
        line.insert(line.end(), arguments_.begin(), arguments_.end());
        return line;
    }

    folder folder_;
    std::vector<std::string> arguments_;
    std::uint16_t port_ = 0;
    process process_;
};

} // namespace carillon::net::redis::test
