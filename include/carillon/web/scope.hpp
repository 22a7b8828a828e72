// scope: what is known of a connection or request from its head. The same words as an ASGI scope.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <carillon/base/error.hpp>

namespace carillon {

using name_value = std::pair<std::string, std::string>;
using name_value_list = std::vector<name_value>;

// A plain value; belongs to whoever holds it.
struct scope {
    std::string method = "GET";
    std::string path;            // percent-decoded, begins with '/'
    std::string query_string;    // raw, without '?'
    std::string host;            // of the Host header: lower case, without port
    std::uint16_t host_port = 0; // 0: none was given
    bool secure = false;         // https or wss, as far as this server or a trusted proxy knows
    std::string client_address;  // empty over a unix socket
    std::uint16_t client_port = 0;
    name_value_list headers;               // names as sent
    name_value_list url_kwargs;            // what the route's pattern captured, as text
    std::vector<std::string> subprotocols; // offered by a WebSocket client, in order

    // The first header of that name, in any case; empty when absent.
    std::string_view header(std::string_view name) const noexcept;
    bool has_header(std::string_view name) const noexcept;
    // The cookie of that name, as Django reads it (the last of equal names wins).
    std::optional<std::string> cookie(std::string_view name) const;
    // The first value of that name in the query string.
    std::optional<std::string> query(std::string_view name) const;
    // The same as a number; the fallback when absent, errc::invalid when it is none from `low` to `high`.
    std::int64_t query_int(std::string_view name, std::int64_t fallback, std::int64_t low,
                           std::int64_t high) const;

    // What the pattern captured under that name. Asking for a name that the route's pattern lacks is a programmer
    // error.
    const std::string& kwarg(std::string_view name) const;
    // Of an <int:…> converter.
    std::int64_t kwarg_int(std::string_view name) const;
};

} // namespace carillon
