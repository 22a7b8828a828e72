// Consumers for tests: one that shows every event and obeys its client, and two of the handshake.
#pragma once

#include <mutex>

#include <carillon/web/routes.hpp>

namespace interop {

// What probe consumers of this process heard at their end. Thread-safe.
class heard {
public:
    void add(std::string channel, std::uint16_t code);
    carillon::value all() const;

private:
    mutable std::mutex lock_;
    carillon::array entries_;
};

// `disconnects` outlives the routes.
carillon::routes probe_routes(heard& disconnects);

} // namespace interop
