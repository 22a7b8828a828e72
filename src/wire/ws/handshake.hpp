// The opening handshake of RFC 6455 section 4.2, as a decision over a parsed request.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/http/request.hpp"

namespace carillon::wire::ws {

// Sec-WebSocket-Accept for a key (section 4.2.2, step 5.4).
std::string accept_key(std::string_view key);

struct handshake {
    int refused_status = 0; // 0: the request is a sound handshake; else 400, 405 or 426
    std::string why;        // one sentence for the refused client
    std::string key;
    std::vector<std::string> subprotocols; // as offered, in order
    std::string extensions;                // all Sec-WebSocket-Extensions values, joined by ", "
};

// True when the request asks for an upgrade to `websocket` (the token among others, in any case).
bool wants_websocket(const http::request_head& request);
// Section 4.2.1: GET, HTTP/1.1 or later, Host, Connection: upgrade, version 13 (426 for others; the answer then carries
// Sec-WebSocket-Version: 13), one key of 16 bytes in base64, no body.
handshake check_handshake(const http::request_head& request);

} // namespace carillon::wire::ws
