// publisher: how the messages of a fan-out reach the server, one connection of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "load/event_loop.hpp"

namespace carillon::bench {

class publisher {
public:
    virtual ~publisher() = default;
    // Connects; throws usage_error or std::system_error where nobody listens.
    virtual void open() = 0;
    virtual void publish(std::string_view payload) = 0;
    // Requests that were answered with another status than 2xx, and messages lost with a broken
    // connection.
    virtual std::uint64_t errors() const noexcept = 0;
    virtual std::string last_error() const = 0;
};

// http://…: each message is the body of a POST on one kept-alive connection, at most `depth`
// unanswered at once. ws://…: each message is a text frame.
std::unique_ptr<publisher> make_publisher(event_loop& loop, const std::string& url,
                                          std::uint32_t depth);

} // namespace carillon::bench
