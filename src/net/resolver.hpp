// resolver: host names to addresses without blocking the loop. The system's own look-up cannot be interrupted, so each
// runs on a thread that outlives nobody's patience: whoever asked may go, the thread then answers to nobody.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.hpp"
#include "net/socket.hpp"
#include <carillon/base/result.hpp>

namespace carillon::net {

// Used on the loop's thread; destroyed before the loop.
class resolver {
public:
    // At least one address, with port 0; or errc::unavailable.
    using told = std::function<void(result<std::vector<socket_address>>)>;

    explicit resolver(loop& on) : loop_(on) {}
    resolver(const resolver&) = delete;
    ~resolver();

    // Tells from the loop. One question at a time: another one replaces it. Not more than one thread for each name,
    // however often it is asked for.
    void find(const std::string& host, told done);
    void forget() noexcept; // nothing is told any more

private:
    struct job;
    static void run(const std::shared_ptr<job>& what);
    void take(const std::string& host, result<std::vector<socket_address>> found);

    loop& loop_;
    std::map<std::string, std::shared_ptr<job>> running_;
    std::string wanted_;
    told waiting_;
};

} // namespace carillon::net
