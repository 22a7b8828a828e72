// health_port: where a process that serves no site, a worker or a beat, answers operators.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/operations.hpp"
#include "net/acceptor.hpp"
#include "web/memory_site.hpp"

namespace carillon::app {

// /healthz, /readyz and /metrics as `serve` answers them, on a thread of its own. Any Host header will do: probes name
// an address, and there is nothing here that a name could protect.
class health_port {
public:
    // Binds the address of the settings, so that a process that cannot have it ends before it begins to work; nothing
    // where they name none. errc::invalid, errc::unavailable.
    static result<std::vector<net::listener>> listen(const settings& config);

    // Answers at once, or does nothing without a listener. Everything given outlives it; the counters, to which it adds
    // its own, are not read after it.
    health_port(std::vector<net::listener> listeners, services& shared, const readiness& ready);

    // "http://127.0.0.1:9100/" or "unix:PATH" as it was really bound; empty without a listener.
    const std::string& address() const noexcept { return address_; }

private:
    std::string address_;
    std::unique_ptr<web::memory_site> site_;
};

} // namespace carillon::app
