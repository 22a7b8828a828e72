#include "wire/ws/handshake.hpp"

#include <algorithm>
#include <array>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "wire/base64.hpp"
#include "wire/http/token.hpp"
#include <carillon/base/assert.hpp>

namespace carillon::wire::ws {

namespace {

// Section 1.3; every server appends it to the key.
constexpr std::string_view key_suffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

bool sound_key(std::string_view key) {
    const auto nonce = base64_decode(key);
    return nonce && nonce->size() == 16;
}

std::size_t count(const http::request_head& request, std::string_view name) {
    return static_cast<std::size_t>(
        std::count_if(request.headers.begin(), request.headers.end(),
                      [&](const http::header& h) { return http::iequals(h.name, name); }));
}

// False when an offered subprotocol is no token, or stands twice (section 4.1, step 10).
bool read_subprotocols(const http::request_head& request, std::vector<std::string>& out) {
    if (!request.has("Sec-WebSocket-Protocol"))
        return true;
    const auto offered = request.joined("Sec-WebSocket-Protocol");
    http::list_reader reader(offered);
    while (const auto name = reader.next()) {
        if (!http::is_token(*name) || std::find(out.begin(), out.end(), *name) != out.end())
            return false;
        out.emplace_back(*name);
    }
    return true;
}

} // namespace

std::string accept_key(std::string_view key) {
    // Fetched once: looking the digest up by itself costs more than computing it.
    static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    std::string joined(key);
    joined += key_suffix;
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
    const bool done = sha1 && EVP_Digest(joined.data(), joined.size(), digest.data(), nullptr, sha1,
                                         nullptr) == 1;
    CARILLON_ASSERT(done, "the crypto library knows SHA-1");
    return base64_encode(std::as_bytes(std::span(digest)));
}

bool wants_websocket(const http::request_head& request) {
    return http::list_has(request.joined("Upgrade"), "websocket");
}

handshake check_handshake(const http::request_head& request) {
    handshake found;
    auto refuse = [&](int status, const char* why) {
        found.refused_status = status;
        found.why = why;
        return found;
    };
    if (request.method != "GET")
        return refuse(405, "A WebSocket handshake is a GET request.");
    if (!wants_websocket(request))
        return refuse(426, "This address speaks WebSocket: the request lacks Upgrade: websocket.");
    if (request.version_minor < 1)
        return refuse(400, "A WebSocket handshake needs HTTP/1.1.");
    if (request.find("Host").empty())
        return refuse(400, "A WebSocket handshake needs a Host header.");
    if (!http::list_has(request.joined("Connection"), "upgrade"))
        return refuse(400, "A WebSocket handshake needs Connection: Upgrade.");
    if (request.chunked || request.content_length.value_or(0) != 0)
        return refuse(400, "A WebSocket handshake has no body.");
    if (!request.has("Sec-WebSocket-Version"))
        return refuse(400, "A WebSocket handshake needs Sec-WebSocket-Version: 13.");
    if (request.joined("Sec-WebSocket-Version") != "13")
        return refuse(426, "This server speaks version 13 of the WebSocket protocol.");
    found.key = std::string(request.find("Sec-WebSocket-Key"));
    if (count(request, "Sec-WebSocket-Key") != 1 || !sound_key(found.key))
        return refuse(400,
                      "A WebSocket handshake needs one Sec-WebSocket-Key of 16 bytes in base64.");
    if (!read_subprotocols(request, found.subprotocols))
        return refuse(400, "Sec-WebSocket-Protocol is not a list of different tokens.");
    found.extensions = request.joined("Sec-WebSocket-Extensions");
    return found;
}

} // namespace carillon::wire::ws
