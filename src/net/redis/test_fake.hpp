// A server that is no Redis: it answers what a test wants, or nothing.
#pragma once

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.hpp"

namespace carillon::net::redis::test {

class fake_server {
public:
    // What is answered to the bytes that one call of recv() brought; on the server's own thread.
    using answering = std::function<std::string(const std::string& received)>;

    explicit fake_server(answering answer)
        : answer_(std::move(answer)), listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
          stop_(::eventfd(0, EFD_CLOEXEC)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
            ::listen(listening_.get(), 16) != 0 ||
            ::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("no listening socket");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~fake_server() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
        thread_.join();
    }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
    std::uint16_t port() const noexcept { return port_; }

private:
    void serve() {
        std::vector<unique_fd> peers;
        for (;;) {
            std::vector<pollfd> watched{{stop_.get(), POLLIN, 0}, {listening_.get(), POLLIN, 0}};
            for (const auto& peer : peers)
                watched.push_back({peer.get(), POLLIN, 0});
            ::poll(watched.data(), watched.size(), -1);
            if (watched[0].revents)
                return;
            for (std::size_t i = peers.size(); i-- > 0;)
                if (watched[i + 2].revents && !serve_one(peers[i].get()))
                    peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(i));
            if (watched[1].revents)
                peers.emplace_back(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        }
    }
    bool serve_one(int peer) {
        char piece[64 * 1024];
        const auto size = ::recv(peer, piece, sizeof piece, 0);
        if (size <= 0)
            return false;
        const auto answer = answer_(std::string(piece, static_cast<std::size_t>(size)));
        return answer.empty() || ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL) ==
                                     static_cast<ssize_t>(answer.size());
    }

    answering answer_;
    unique_fd listening_, stop_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

} // namespace carillon::net::redis::test
