#include "load/client_pool.hpp"

#include <cerrno>
#include <strings.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/usage_error.hpp"

namespace carillon::bench {

namespace {

constexpr std::size_t buffer_bytes = 256 * 1024;
constexpr std::size_t answer_bytes_max = 16 * 1024;

void set_option(int descriptor, int level, int name) {
    int on = 1;
    setsockopt(descriptor, level, name, &on, sizeof on);
}

// The value of that header in an answer's head, blanks stripped; names without regard to case.
std::string_view header_value(std::string_view head, std::string_view name) {
    for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;) {
        std::string_view line = head.substr(at + 2);
        line = line.substr(0, line.find("\r\n"));
        if (line.size() > name.size() && line[name.size()] == ':' &&
            strncasecmp(line.data(), name.data(), name.size()) == 0) {
            std::string_view v = line.substr(name.size() + 1);
            std::size_t from = v.find_first_not_of(" \t"), to = v.find_last_not_of(" \t");
            return from == std::string_view::npos ? v.substr(0, 0) : v.substr(from, to - from + 1);
        }
        at = head.find("\r\n", at + 2);
    }
    return {};
}

} // namespace

void connection::on_events(std::uint32_t events) { pool_.handle(*this, events); }

client_pool::client_pool(event_loop& loop, pool_settings settings, pool_listener& listener)
    : loop_(loop), settings_(std::move(settings)), listener_(listener) {
    const target& to = settings_.where;
    if (to.scheme != "ws")
        throw usage_error("'" + to.scheme + "' is no scheme of a subscriber; use ws");
    address_.sin_family = AF_INET;
    address_.sin_port = htons(to.port);
    if (inet_pton(AF_INET, to.host.c_str(), &address_.sin_addr) != 1)
        throw usage_error("'" + to.host + "' is no numeric IPv4 address");
    for (std::uint64_t i = 0; i < 64; ++i) {
        std::string key = make_key(now_ns() + i);
        keys_.emplace_back(key, accept_value(key));
    }
    request_head_ = "GET " + to.path + " HTTP/1.1\r\nHost: " + to.authority() +
                    "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
                    "\r\nOrigin: http://" +
                    to.authority() + "\r\n";
    for (const std::string& header : settings_.headers)
        request_head_ += header + "\r\n";
    buffer_.resize(buffer_bytes);
    for (std::uint32_t i = 0; i < settings_.conns; ++i)
        connections_.emplace_back(*this, i);
}

client_pool::~client_pool() {
    for (connection& c : connections_)
        if (c.descriptor_ >= 0)
            ::close(c.descriptor_);
}

std::uint32_t client_pool::connect_all() {
    std::uint64_t begin = now_ns(), progress = begin, seen = 0;
    std::size_t next = 0;
    while (open_ + failed_ < settings_.conns) {
        while (next < connections_.size() && opening_ < settings_.concurrency)
            start(connections_[next++]);
        loop_.poll(100);
        if (open_ + failed_ != seen) {
            seen = open_ + failed_;
            progress = now_ns();
        } else if (static_cast<double>(now_ns() - progress) > settings_.connect_timeout_s * 1e9) {
            for (connection& c : connections_)
                if (c.stage_ == stage::upgrading)
                    end(c, "no answer to the handshake");
            failed_ += connections_.size() - next;
            break;
        }
    }
    connect_seconds_ = static_cast<double>(now_ns() - begin) / 1e9;
    return open_;
}

bool client_pool::bind_source(connection& c) {
    if (settings_.sources <= 1)
        return true;
    // The port is chosen at connect(), when the whole four-tuple is known: each address gives all
    // its ports.
    set_option(c.descriptor_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(0x7f000001u + next_source_++ % settings_.sources);
    return bind(c.descriptor_, reinterpret_cast<sockaddr*>(&source), sizeof source) == 0;
}

void client_pool::start(connection& c) {
    c.started_ns_ = now_ns();
    c.stage_ = stage::upgrading;
    ++opening_;
    c.descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c.descriptor_ < 0 || !bind_source(c))
        return end(c, system_text());
    set_option(c.descriptor_, IPPROTO_TCP, TCP_NODELAY);
    if (connect(c.descriptor_, reinterpret_cast<sockaddr*>(&address_), sizeof address_) < 0 &&
        errno != EINPROGRESS)
        return end(c, system_text());
    loop_.add(c.descriptor_, c, EPOLLIN);
    c.unsent_ =
        request_head_ + "Sec-WebSocket-Key: " + keys_[c.index_ % keys_.size()].first + "\r\n\r\n";
    write_some(c); // loopback connects at once; elsewhere this waits for EPOLLOUT
}

void client_pool::send(connection& c, opcode op, std::string_view payload) {
    append_masked(c.unsent_, op, payload, next_mask());
}

void client_pool::flush(connection& c) {
    if (!c.unsent_.empty() && !c.waits_for_write_)
        write_some(c);
}

void client_pool::close_politely(connection& c) {
    c.stage_ = stage::closing;
    send(c, opcode::close, std::string_view("\x03\xe8", 2));
}

std::uint32_t client_pool::next_mask() noexcept {
    mask_ = mask_ * 1664525u + 1013904223u;
    return mask_;
}

void client_pool::write_some(connection& c) {
    ssize_t sent = ::send(c.descriptor_, c.unsent_.data(), c.unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN)
        return end(c, system_text());
    if (sent > 0)
        c.unsent_.erase(0, static_cast<std::size_t>(sent));
    if (c.waits_for_write_ != !c.unsent_.empty()) {
        c.waits_for_write_ = !c.unsent_.empty();
        loop_.change(c.descriptor_, c, c.waits_for_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

void client_pool::end(connection& c, std::string_view why) {
    bool was_open = c.stage_ == stage::open || c.stage_ == stage::closing;
    if (c.descriptor_ >= 0)
        ::close(c.descriptor_);
    c.descriptor_ = -1;
    c.stage_ = stage::closed;
    c.waits_for_write_ = false;
    for (std::string* kept : {&c.unread_, &c.fragments_, &c.unsent_})
        std::string().swap(*kept);
    if (was_open) {
        --open_;
    } else {
        --opening_;
        ++failed_;
    }
    if (!why.empty())
        ++ends_[std::string(why)];
    listener_.closed(c, was_open, why);
}

void client_pool::handle(connection& c, std::uint32_t events) {
    if (c.descriptor_ < 0)
        return;
    if (events & EPOLLOUT)
        write_some(c);
    if (c.descriptor_ >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        read_some(c);
}

void client_pool::read_some(connection& c) {
    ssize_t got = ::read(c.descriptor_, buffer_.data(), buffer_.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        std::string why = got < 0 ? system_text() : "closed by the server";
        return end(c, got == 0 && c.stage_ == stage::closing ? std::string() : why);
    }
    std::uint64_t at = now_ns();
    ++reads_;
    std::string_view fresh(buffer_.data(), static_cast<std::size_t>(got));
    if (c.unread_.empty()) {
        std::size_t used = consume(c, fresh, at);
        if (c.descriptor_ >= 0 && used < fresh.size())
            c.unread_.assign(fresh.substr(used));
    } else {
        std::string whole = std::move(c.unread_); // end() may clear what the connection holds
        whole.append(fresh);
        std::size_t used = consume(c, whole, at);
        if (c.descriptor_ >= 0) {
            whole.erase(0, used);
            c.unread_ = std::move(whole);
        }
    }
    if (c.descriptor_ >= 0)
        flush(c);
}

// Handles all that is whole; returns how many bytes that was.
std::size_t client_pool::consume(connection& c, std::string_view data, std::uint64_t read_ns) {
    std::size_t used = c.stage_ == stage::upgrading ? consume_answer(c, data) : 0;
    while (c.descriptor_ >= 0 && c.stage_ != stage::upgrading && used < data.size()) {
        frame_head head = parse_frame(data.substr(used));
        if (head.found == frame_head::state::incomplete)
            break;
        if (head.found == frame_head::state::invalid) {
            end(c, "the server sent an invalid frame");
            break;
        }
        std::size_t size = static_cast<std::size_t>(head.payload_bytes);
        std::string_view payload = data.substr(used + head.head_bytes, size);
        used += head.head_bytes + size;
        if (!take_frame(c, head, payload, read_ns))
            break;
    }
    return used;
}

std::size_t client_pool::consume_answer(connection& c, std::string_view data) {
    std::size_t head_end = data.find("\r\n\r\n");
    if (head_end == std::string_view::npos) {
        if (data.size() > answer_bytes_max)
            end(c, "the answer to the handshake has no end");
        return 0;
    }
    std::string_view head = data.substr(0, head_end + 2);
    if (!head.starts_with("HTTP/1.1 101 ")) {
        end(c, "handshake answered " + std::string(head.substr(0, head.find("\r\n"))));
    } else if (header_value(head, "Sec-WebSocket-Accept") !=
               keys_[c.index_ % keys_.size()].second) {
        end(c, "handshake answered with a wrong Sec-WebSocket-Accept");
    } else {
        c.stage_ = stage::open;
        --opening_;
        ++open_;
        listener_.opened(c);
    }
    return head_end + 4;
}

// False where the connection has ended.
bool client_pool::take_frame(connection& c, const frame_head& head, std::string_view payload,
                             std::uint64_t read_ns) {
    if (head.op == opcode::ping) {
        ++pings_;
        if (c.stage_ == stage::open)
            send(c, opcode::pong, payload);
    } else if (head.op == opcode::close && c.stage_ == stage::open) {
        std::string code = "without a code";
        if (payload.size() >= 2)
            code = std::to_string(static_cast<unsigned char>(payload[0]) * 256 +
                                  static_cast<unsigned char>(payload[1]));
        send(c, opcode::close, payload.substr(0, 2));
        flush(c);
        if (c.descriptor_ >= 0)
            end(c, "close " + code);
        return false;
    } else if (head.op <= opcode::binary && c.stage_ == stage::open) {
        bool whole = head.final && head.op != opcode::continuation;
        if (!whole)
            c.fragments_.append(payload);
        if (head.final)
            listener_.message(c, whole ? payload : std::string_view(c.fragments_), read_ns);
        if (head.final && !whole)
            c.fragments_.clear();
    }
    return c.descriptor_ >= 0;
}

} // namespace carillon::bench
