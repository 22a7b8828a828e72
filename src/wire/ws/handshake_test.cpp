#include "wire/ws/handshake.hpp"

#include <functional>
#include <vector>

#include <doctest/doctest.h>

namespace carillon::wire::ws {

namespace {

http::request_head sound_request() {
    http::request_head head;
    head.method = "GET";
    head.target = "/ws/chat/";
    head.headers = {{"Host", "example.com"},
                    {"Upgrade", "websocket"},
                    {"Connection", "Upgrade"},
                    {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                    {"Sec-WebSocket-Version", "13"}};
    return head;
}

void set(http::request_head& head, const std::string& name, const std::string& value) {
    for (auto& h : head.headers)
        if (h.name == name)
            h.value = value;
}

void remove(http::request_head& head, const std::string& name) {
    std::erase_if(head.headers, [&](const http::header& h) { return h.name == name; });
}

struct handshake_case {
    const char* name;
    int status;
    std::function<void(http::request_head&)> change;
};

using head = http::request_head;

const std::vector<handshake_case> cases = {
    {"a sound handshake", 0, [](head&) {}},
    {"tokens in any case, among others", 0,
     [](head& h) {
         set(h, "Upgrade", "h2c, WebSocket");
         set(h, "Connection", "keep-alive, upgrade");
     }},
    {"Connection in two headers", 0,
     [](head& h) {
         set(h, "Connection", "keep-alive");
         h.headers.push_back({"connection", "Upgrade"});
     }},
    {"POST", 405, [](head& h) { h.method = "POST"; }},
    {"no Upgrade", 426, [](head& h) { remove(h, "Upgrade"); }},
    {"another upgrade", 426, [](head& h) { set(h, "Upgrade", "websocket2"); }},
    {"HTTP/1.0", 400, [](head& h) { h.version_minor = 0; }},
    {"no Host", 400, [](head& h) { remove(h, "Host"); }},
    {"no Connection", 400, [](head& h) { remove(h, "Connection"); }},
    {"Connection without upgrade", 400, [](head& h) { set(h, "Connection", "keep-alive"); }},
    {"a body", 400, [](head& h) { h.content_length = 3; }},
    {"a chunked body", 400, [](head& h) { h.chunked = true; }},
    {"Content-Length of zero", 0, [](head& h) { h.content_length = 0; }},
    {"no version", 400, [](head& h) { remove(h, "Sec-WebSocket-Version"); }},
    {"version 8", 426, [](head& h) { set(h, "Sec-WebSocket-Version", "8"); }},
    {"version 13 and 8", 426, [](head& h) { set(h, "Sec-WebSocket-Version", "13, 8"); }},
    {"no key", 400, [](head& h) { remove(h, "Sec-WebSocket-Key"); }},
    {"two keys", 400,
     [](head& h) {
         h.headers.push_back({"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="});
     }},
    {"a key of 15 bytes", 400,
     [](head& h) { set(h, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j"); }},
    {"a key that is not base64", 400,
     [](head& h) { set(h, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ!=="); }},
    {"a subprotocol that is no token", 400,
     [](head& h) {
         h.headers.push_back({"Sec-WebSocket-Protocol", "chat, a b"});
     }},
    {"an empty subprotocol", 400,
     [](head& h) {
         h.headers.push_back({"Sec-WebSocket-Protocol", ""});
     }},
    {"a subprotocol offered twice", 400,
     [](head& h) {
         h.headers.push_back({"Sec-WebSocket-Protocol", "chat, chat"});
     }},
};

} // namespace

TEST_CASE("the accept key of RFC 6455 section 1.3 comes out") {
    CHECK(accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("a handshake is accepted or refused with its status") {
    for (const auto& c : cases) {
        CAPTURE(c.name);
        auto request = sound_request();
        c.change(request);
        const auto found = check_handshake(request);
        CHECK(found.refused_status == c.status);
        CHECK(found.why.empty() == (c.status == 0));
    }
}

TEST_CASE("subprotocols and extensions are read from all their headers, in order") {
    auto request = sound_request();
    request.headers.push_back({"Sec-WebSocket-Protocol", "chat, superchat"});
    request.headers.push_back({"sec-websocket-protocol", "v2.chat"});
    request.headers.push_back({"Sec-WebSocket-Extensions", "permessage-deflate"});
    request.headers.push_back({"Sec-WebSocket-Extensions", "x-other; a=1"});
    const auto found = check_handshake(request);
    CHECK(found.refused_status == 0);
    CHECK(found.subprotocols == std::vector<std::string>{"chat", "superchat", "v2.chat"});
    CHECK(found.extensions == "permessage-deflate, x-other; a=1");
    CHECK(found.key == "dGhlIHNhbXBsZSBub25jZQ==");
}

TEST_CASE("a request wants WebSocket when Upgrade names it") {
    auto request = sound_request();
    CHECK(wants_websocket(request));
    set(request, "Upgrade", "WEBSOCKET");
    CHECK(wants_websocket(request));
    remove(request, "Upgrade");
    CHECK_FALSE(wants_websocket(request));
}

} // namespace carillon::wire::ws
