// A RabbitMQ node for tests: the real rabbitmq-server, on free ports of 127.0.0.1, with its own epmd, in a folder of
// its own that is gone at the end.
#pragma once

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "net/redis/test_redis.hpp"

namespace carillon::jobs::amqp::test {

using net::redis::test::folder;
using net::redis::test::free_port;
using net::redis::test::process;

// For the first line of a test: prints why when there is no RabbitMQ to test with.
inline bool no_rabbitmq() {
    if (std::filesystem::exists("/usr/lib/rabbitmq/bin/rabbitmq-server"))
        return false;
    std::puts("skipped: /usr/lib/rabbitmq/bin/rabbitmq-server is not installed");
    return true;
}

class rabbitmq {
public:
    // `settings` are lines of rabbitmq.conf.
    explicit rabbitmq(std::string settings = {}) : settings_(std::move(settings)) {
        std::ofstream(folder_.file("plugins")) << "[].\n";
        epmd_ = run_in_background(
            {"/usr/bin/epmd", "-address", "127.0.0.1", "-port", std::to_string(epmd_port_)});
        start();
    }
    rabbitmq(const rabbitmq&) = delete;
    ~rabbitmq() {
        node_.end(SIGKILL);
        epmd_.end(SIGKILL);
    }

    std::uint16_t port() const noexcept { return port_; }
    // "amqp://127.0.0.1:PORT//"
    std::string url() const { return "amqp://127.0.0.1:" + std::to_string(port_) + "//"; }

    void kill() { node_.end(SIGKILL); } // nothing is flushed, nobody is told
    void start() {                      // on the same data, after kill()
        std::ofstream(folder_.file("rabbitmq.conf"))
            << "listeners.tcp.1 = 127.0.0.1:" << port_ << "\nlog.file.level = warning\n"
            << settings_;
        std::filesystem::remove(folder_.file("pid"));
        node_ = run_in_background({"/usr/lib/rabbitmq/bin/rabbitmq-server"});
        control({"wait", "--timeout", "60", folder_.file("pid")});
    }
    void pause() { node_.signal(SIGSTOP); }
    void resume() { node_.signal(SIGCONT); }
    // rabbitmqctl with these arguments; throws when it fails.
    void control(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "/usr/lib/rabbitmq/bin/rabbitmqctl");
        auto one = run_in_background(arguments);
        if (one.wait() != 0)
            throw std::runtime_error("rabbitmqctl " + arguments[1] + " failed");
    }
    std::string file(const std::string& name) const { return folder_.file(name); }

private:
    process run_in_background(const std::vector<std::string>& command) const {
        const auto path = [this](const char* name) { return folder_.file(name); };
        std::vector<std::string> line{
            "/usr/bin/env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "HOME=" + path(""),
            "RUNNING_UNDER_SYSTEMD=1", // the script becomes the node instead of starting it
            "RABBITMQ_NODENAME=test" + std::to_string(port_) + "@localhost",
            "RABBITMQ_NODE_PORT=" + std::to_string(port_),
            "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
            "RABBITMQ_DIST_PORT=" + std::to_string(dist_port_),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE=" + path("rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE=" + path("none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE=" + path("plugins"),
            "RABBITMQ_MNESIA_BASE=" + path("data"),
            "RABBITMQ_LOG_BASE=" + path("log"),
            "RABBITMQ_PID_FILE=" + path("pid"),
            "ERL_EPMD_PORT=" + std::to_string(epmd_port_),
            "ERL_EPMD_ADDRESS=127.0.0.1"};
        line.insert(line.end(), command.begin(), command.end());
        return process(line, "PATH=/usr/bin");
    }

    folder folder_;
    const std::string settings_;
    const std::uint16_t port_ = free_port(), dist_port_ = free_port(), epmd_port_ = free_port();
    process epmd_, node_;
};

} // namespace carillon::jobs::amqp::test
