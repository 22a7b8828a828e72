#include "load/publisher.hpp"

#include <cerrno>
#include <charconv>
#include <deque>
#include <strings.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/client_pool.hpp"
#include "load/usage_error.hpp"

namespace carillon::bench {

namespace {

class http_publisher final : public publisher, private event_source {
public:
    http_publisher(event_loop& loop, target where, std::uint32_t depth)
        : loop_(loop), where_(std::move(where)), depth_(depth) {}
    ~http_publisher() override {
        if (descriptor_ >= 0)
            close(descriptor_);
    }

    void open() override {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(where_.port);
        if (inet_pton(AF_INET, where_.host.c_str(), &to.sin_addr) != 1)
            throw usage_error("'" + where_.host + "' is no numeric IPv4 address");
        descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor_ < 0 ||
            connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
            throw system_failure("connect of the publisher");
        int on = 1;
        setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        loop_.add(descriptor_, *this, EPOLLIN);
    }

    void publish(std::string_view payload) override {
        waiting_.emplace_back(payload);
        pump();
    }
    std::uint64_t errors() const noexcept override { return errors_; }
    std::string last_error() const override { return last_error_; }

private:
    void pump() {
        std::string batch;
        while (descriptor_ >= 0 && !waiting_.empty() && unanswered_ < depth_) {
            batch += "POST " + where_.path + " HTTP/1.1\r\nHost: " + where_.authority() +
                     "\r\nContent-Type: text/plain\r\nContent-Length: " +
                     std::to_string(waiting_.front().size()) + "\r\n\r\n" + waiting_.front();
            waiting_.pop_front();
            ++unanswered_;
        }
        std::string_view left = batch;
        while (!left.empty() && descriptor_ >= 0) {
            // The socket blocks: a publisher that runs ahead of its server would measure nothing.
            ssize_t sent = ::send(descriptor_, left.data(), left.size(), MSG_NOSIGNAL);
            if (sent < 0)
                return broken(system_text());
            left.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    void on_events(std::uint32_t) override {
        if (descriptor_ < 0)
            return;
        char chunk[16384];
        ssize_t got = recv(descriptor_, chunk, sizeof chunk, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            return broken(got < 0 ? system_text() : "closed by the server");
        unread_.append(chunk, static_cast<std::size_t>(got));
        while (take_answer()) {
        }
        pump();
    }

    bool take_answer() {
        std::size_t head_end = unread_.find("\r\n\r\n");
        if (head_end == std::string::npos || unanswered_ == 0)
            return false;
        std::size_t body = content_length(std::string_view(unread_).substr(0, head_end));
        if (unread_.size() < head_end + 4 + body)
            return false;
        if (unread_.compare(0, 10, "HTTP/1.1 2") != 0) {
            ++errors_;
            last_error_ = unread_.substr(0, unread_.find("\r\n"));
        }
        unread_.erase(0, head_end + 4 + body);
        --unanswered_;
        return true;
    }

    static std::size_t content_length(std::string_view head) {
        constexpr std::string_view name = "\r\ncontent-length:";
        for (std::size_t at = 0; at + name.size() <= head.size(); ++at)
            if (strncasecmp(head.data() + at, name.data(), name.size()) == 0) {
                std::size_t from = head.find_first_not_of(' ', at + name.size()), size = 0;
                if (from != std::string_view::npos)
                    std::from_chars(head.data() + from, head.data() + head.size(), size);
                return size;
            }
        return 0;
    }

    void broken(std::string why) {
        errors_ += unanswered_ + waiting_.size();
        last_error_ = std::move(why);
        waiting_.clear();
        close(descriptor_);
        descriptor_ = -1;
    }

    event_loop& loop_;
    target where_;
    std::uint32_t depth_;
    int descriptor_ = -1;
    std::deque<std::string> waiting_;
    std::string unread_, last_error_;
    std::uint64_t unanswered_ = 0, errors_ = 0;
};

class ws_publisher final : public publisher, private pool_listener {
public:
    ws_publisher(event_loop& loop, target where)
        : pool_(loop, settings_for(std::move(where)), *this) {}
    void open() override {
        if (pool_.connect_all() != 1)
            throw usage_error("the publisher cannot connect: " +
                              (pool_.ends().empty() ? "" : pool_.ends().begin()->first));
    }
    void publish(std::string_view payload) override {
        connection& c = pool_.connections().front();
        if (!c.is_open()) {
            ++errors_;
            return;
        }
        pool_.send(c, opcode::text, payload);
        pool_.flush(c);
    }
    std::uint64_t errors() const noexcept override { return errors_; }
    std::string last_error() const override {
        return pool_.ends().empty() ? "" : pool_.ends().begin()->first;
    }

private:
    static pool_settings settings_for(target where) {
        pool_settings s;
        s.where = std::move(where);
        return s;
    }
    client_pool pool_;
    std::uint64_t errors_ = 0;
};

} // namespace

std::unique_ptr<publisher> make_publisher(event_loop& loop, const std::string& url,
                                          std::uint32_t depth) {
    target where = parse_target(url);
    if (where.scheme == "ws")
        return std::make_unique<ws_publisher>(loop, std::move(where));
    if (where.scheme == "http")
        return std::make_unique<http_publisher>(loop, std::move(where), depth);
    throw usage_error("'" + url + "' is no way to publish; use http or ws");
}

} // namespace carillon::bench
