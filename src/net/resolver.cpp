#include "net/resolver.hpp"

#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>

namespace carillon::net {

// Shared by the resolver and the thread; the thread touches nothing else.
struct resolver::job {
    std::string host;
    std::mutex guard;
    loop* home = nullptr;      // under guard: null when nobody wants the answer
    resolver* owner = nullptr; // on the loop's thread

    void leave() noexcept {
        std::lock_guard lock(guard);
        home = nullptr;
    }
};

namespace {

result<std::vector<socket_address>> look_up(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    const int problem = ::getaddrinfo(host.c_str(), nullptr, &hints, &first);
    if (problem != 0)
        return failure{errc::unavailable,
                       "the host name " + host + " is not found: " + ::gai_strerror(problem)};
    std::vector<socket_address> found;
    for (const auto* one = first; one; one = one->ai_next) {
        auto& address = found.emplace_back();
        std::memcpy(&address.bytes, one->ai_addr, one->ai_addrlen);
        address.size = one->ai_addrlen;
    }
    ::freeaddrinfo(first);
    return found;
}

} // namespace

resolver::~resolver() {
    for (auto& [host, one] : running_) {
        one->leave();
        one->owner = nullptr;
    }
}

void resolver::run(const std::shared_ptr<job>& what) {
    auto found = look_up(what->host);
    std::lock_guard lock(what->guard);
    if (what->home)
        what->home->post([what, found = std::move(found)]() mutable {
            // not before its thread is out of post(): the loop may end right after this
            what->leave();
            if (what->owner)
                what->owner->take(what->host, std::move(found));
        });
}

void resolver::find(const std::string& host, told done) {
    wanted_ = host;
    waiting_ = std::move(done);
    if (running_.contains(host))
        return;
    auto what = std::make_shared<job>();
    what->host = host;
    what->home = &loop_;
    what->owner = this;
    running_[host] = what;
    try {
        std::thread([what] { run(what); }).detach();
    } catch (const std::system_error&) {
        loop_.defer([what] {
            if (what->owner)
                what->owner->take(what->host,
                                  failure{errc::unavailable, "no thread for a name look-up"});
        });
    }
}

void resolver::forget() noexcept { waiting_ = nullptr; }

void resolver::take(const std::string& host, result<std::vector<socket_address>> found) {
    running_.erase(host);
    if (wanted_ == host && waiting_)
        std::exchange(waiting_, nullptr)(std::move(found));
}

} // namespace carillon::net
