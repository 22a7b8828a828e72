#include "net/acceptor.hpp"

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace carillon::net {

// --- addresses -----------------------------------------------------------------------------------

bool bind_address::loopback() const {
    return !path.empty() || host == "localhost" || host == "::1" || host.starts_with("127.");
}

result<bind_address> parse_bind_address(const std::string& text) {
    bind_address parsed;
    if (text.starts_with("unix:")) {
        parsed.path = text.substr(5);
        if (parsed.path.empty() || parsed.path.size() >= sizeof(sockaddr_un::sun_path))
            return failure{errc::invalid,
                           "'" + text + "': a unix socket needs a path of 1 to 107 characters"};
        return parsed;
    }
    const auto colon = text.rfind(':');
    if (colon == std::string::npos)
        return failure{errc::invalid,
                       "'" + text +
                           "' is not an address; write HOST:PORT, [::1]:PORT or unix:PATH"};
    parsed.host = text.substr(0, colon);
    if (parsed.host.size() >= 2 && parsed.host.front() == '[' && parsed.host.back() == ']')
        parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
    else if (parsed.host.find(':') != std::string::npos)
        return failure{errc::invalid,
                       "'" + text + "': write an IPv6 address in brackets, as in [::1]:8000"};
    if (parsed.host.empty())
        parsed.host = "127.0.0.1";
    const char* first = text.data() + colon + 1;
    const char* last = text.data() + text.size();
    const auto [end, problem] = std::from_chars(first, last, parsed.port);
    if (problem != std::errc{} || end != last)
        return failure{errc::invalid, "'" + text + "': the port must be a number from 0 to 65535"};
    return parsed;
}

// --- listening -----------------------------------------------------------------------------------

namespace {

constexpr int backlog = 4096;

failure cannot_listen(const std::string& where, std::string_view option) {
    const int problem = errno;
    std::string advice;
    if (problem == EADDRINUSE)
        advice = fmt::format(
            "; another program listens there: stop it or choose another address with {}", option);
    if (problem == EACCES)
        advice = "; ports below 1024 and foreign folders need more rights";
    return {errc::unavailable,
            "cannot listen on " + where + ": " + std::strerror(problem) + advice};
}

result<unique_fd> listen_on(const sockaddr* address, socklen_t size, const std::string& where,
                            std::string_view option) {
    unique_fd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int one = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->sa_family == AF_INET6)
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (!fd || ::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), backlog) != 0)
        return cannot_listen(where, option);
    return fd;
}

// A socket file that nobody listens on is what a killed server left: it is replaced. A live one is not.
result<unique_fd> listen_on_path(const std::string& path, std::string_view option) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    struct stat there {};
    if (::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) {
        unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(probe.get(), generic, sizeof address) != 0 && errno == ECONNREFUSED)
            ::unlink(path.c_str());
    }
    return listen_on(generic, sizeof address, "unix:" + path, option);
}

} // namespace

result<listener> listener::open(const bind_address& address, std::string_view option) {
    if (!address.path.empty()) {
        auto fd = listen_on_path(address.path, option);
        if (!fd)
            return fd.error();
        return listener(*std::move(fd), address);
    }
    const auto where = address.host + ":" + std::to_string(address.port);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) !=
        0)
        return failure{errc::invalid, "cannot listen on " + where +
                                          ": the host is not an address of this machine"};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
    auto fd = listen_on(found->ai_addr, found->ai_addrlen, where, option);
    if (!fd)
        return fd.error();
    return listener(*std::move(fd), address);
}

listener::listener(listener&& other) noexcept
    : fd_(std::move(other.fd_)), where_(std::exchange(other.where_, {})) {}

listener::~listener() {
    if (!where_.path.empty())
        ::unlink(where_.path.c_str());
}

std::string listener::name() const {
    if (!where_.path.empty())
        return "unix:" + where_.path;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    if (address.ss_family == AF_INET6)
        return "[" + where_.host +
               "]:" + std::to_string(ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port));
    return where_.host + ":" +
           std::to_string(ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port));
}

// --- peers ---------------------------------------------------------------------------------------

peer_name::peer_name(const sockaddr_storage& address) noexcept : family_(address.ss_family) {
    if (family_ == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        port_ = ntohs(v4.sin_port);
        std::memcpy(bytes_.data(), &v4.sin_addr, sizeof v4.sin_addr);
    } else if (family_ == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
        port_ = ntohs(v6.sin6_port);
        std::memcpy(bytes_.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    }
}

peer_name peer_name::loopback() noexcept {
    sockaddr_storage address{};
    address.ss_family = AF_INET;
    reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return peer_name(address);
}

std::string peer_name::address() const {
    const auto part = [this](std::size_t i) { return std::to_integer<unsigned>(bytes_[i]); };
    if (family_ == AF_INET)
        return fmt::format("{}.{}.{}.{}", part(0), part(1), part(2), part(3));
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (family_ == AF_INET6)
        ::inet_ntop(family_, bytes_.data(), text.data(), text.size());
    return text.data();
}

// --- accepting -----------------------------------------------------------------------------------

// One shard's share of one listening socket.
class server::intake final : public pollable {
public:
    intake(server& owner, shard& home, int listening)
        : owner_(owner), home_(home), listening_(listening) {
        spare_ = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        // Exclusive: a connection wakes one shard, not all.
        home_.events().watch(listening_, EPOLLIN | EPOLLEXCLUSIVE, *this);
    }

    void on_ready(std::uint32_t) noexcept override {
        constexpr int batch = 32; // then others get their turn
        for (int i = 0; i < batch; ++i) {
            sockaddr_storage address{};
            socklen_t size = sizeof address;
            unique_fd fd(::accept4(listening_, reinterpret_cast<sockaddr*>(&address), &size,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (fd)
                owner_.take(std::move(fd), peer_name(address), &home_);
            else if (errno == EMFILE || errno == ENFILE)
                return refuse_one();
            else if (errno == EAGAIN)
                return;
        }
    }

    void stop() noexcept { home_.events().unwatch(listening_); }

private:
    // Out of descriptors: the spare one lets us take the connection off the queue and close it, instead of
    // spinning on a queue that stays ready.
    void refuse_one() {
        owner_.refused_.add();
        spare_ = unique_fd();
        unique_fd refused(::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC));
        refused = unique_fd(); // now: the spare one takes its place
        spare_ = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    }

    server& owner_;
    shard& home_;
    const int listening_;
    unique_fd spare_;
};

server::server(std::uint32_t threads, const environment& shared, std::vector<listener> listeners,
               const tls_context* tls, protocol_factory first_protocol)
    : shared_(shared), tls_(tls), first_protocol_(std::move(first_protocol)),
      listeners_(std::move(listeners)),
      accepted_(shared.counted.add(metric_kind::counter, "carillon_connections_accepted_total",
                                   "Connections accepted")),
      refused_(shared.counted.add(
          metric_kind::counter, "carillon_connections_refused_total",
          "Connections closed at once: connections_max, or no descriptor left")) {
    for (std::uint32_t i = 0; i < threads; ++i)
        shards_.push_back(std::make_unique<shard>(i, shared_));
}

server::~server() { stop(); }

std::uint32_t server::connections() const noexcept {
    std::uint32_t sum = 0;
    for (const auto& one : shards_)
        sum += one->connections();
    return sum;
}

shard& server::least_loaded() const noexcept {
    auto* least = shards_.front().get();
    for (const auto& one : shards_)
        if (one->connections() < least->connections())
            least = one.get();
    return *least;
}

// `nearest` is the shard that runs here, if one does.
bool server::take(unique_fd connected, const peer_name& who, shard* nearest) {
    if (connections() >= shared_.limit.connections_max) {
        refused_.add();
        return false;
    }
    accepted_.add();
    constexpr std::uint32_t slack = 16; // below it, handing over costs more than it balances
    auto& other = least_loaded();
    const bool stays = nearest && nearest->connections() <= other.connections() + slack;
    auto& target = stays ? *nearest : other;
    target.reserve_connection();
    if (&target == nearest) {
        settle_in(target, std::move(connected), who);
        return true;
    }
    // The descriptor is owned all the way: work that comes after the loop's end is dropped.
    target.events().post([this, &target, socket = std::move(connected), who]() mutable {
        settle_in(target, std::move(socket), who);
    });
    return true;
}

void server::settle_in(shard& target, unique_fd connected, const peer_name& who) {
    target.adopt(
        std::make_unique<connection>(target, std::move(connected), tls_, first_protocol_(who)));
}

bool server::adopt(unique_fd connected, const peer_name& who) {
    return take(std::move(connected), who, nullptr);
}

void server::start() {
    // OpenSSL writes with write(): without this, a peer that has gone would end the whole process.
    std::signal(SIGPIPE, SIG_IGN);
    for (auto& home : shards_)
        for (auto& listening : listeners_)
            intakes_.push_back(std::make_unique<intake>(*this, *home, listening.fd()));
    for (auto& home : shards_)
        threads_.emplace_back([&home] { home->run(); });
}

namespace {

// Told by each shard when its last connection has gone; lets the stopping thread wait for all of them.
struct drain {
    std::mutex guard;
    std::condition_variable changed;
    std::uint32_t shards_left = 0;

    void one_done() {
        std::lock_guard lock(guard);
        --shards_left;
        changed.notify_all();
    }
};

// Looks again every few milliseconds, on the shard's own thread, until no connection is left there.
void report_when_empty(shard& home, const std::shared_ptr<drain>& waiting) {
    if (home.connections() == 0)
        return waiting->one_done();
    home.events().at(now() + std::chrono::milliseconds(5),
                     [&home, waiting] { report_when_empty(home, waiting); });
}

} // namespace

void server::stop() {
    if (std::exchange(stopped_, true))
        return;
    if (!threads_.empty()) {
        auto waiting = std::make_shared<drain>();
        waiting->shards_left = size();
        for (std::size_t i = 0; i < shards_.size(); ++i) {
            auto& home = *shards_[i];
            home.events().post([this, &home, waiting, i] {
                for (std::size_t k = 0; k < listeners_.size(); ++k)
                    intakes_[i * listeners_.size() + k]->stop();
                home.stop_connections();
                report_when_empty(home, waiting);
            });
        }
        std::unique_lock lock(waiting->guard);
        waiting->changed.wait_for(lock, shared_.limit.drain_timeout,
                                  [&] { return waiting->shards_left == 0; });
        lock.unlock();
        for (auto& home : shards_)
            home->events().stop();
        for (auto& thread : threads_)
            thread.join();
    }
    listeners_.clear();
}

} // namespace carillon::net
