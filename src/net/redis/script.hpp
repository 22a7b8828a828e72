// script: a Lua script that is sent as a whole once, and by its digest from then on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/redis/client.hpp"

namespace carillon::net::redis {

// On the loop's thread of the clients that it is used with; outlives them. A server of version 7 or later runs it also
// while it has no memory left: what moves data must not fail half-way, and what frees memory must go on.
class script {
public:
    explicit script(std::string_view text) : text_(text) {}

    // To be called in on_up(): the digest is known from the reply on. Until then the whole text is sent.
    void load(client& on);
    // A server that has forgotten the script is sent the whole text: such a call is executed after those that were sent
    // behind it.
    void run(client& on, std::vector<std::string> keys, std::vector<std::string> arguments,
             client::told done);

private:
    struct call;
    std::string text_;
    std::string digest_; // empty: unknown
};

} // namespace carillon::net::redis
