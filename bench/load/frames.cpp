#include "load/frames.hpp"

#include <array>
#include <charconv>
#include <cstring>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "load/usage_error.hpp"

namespace carillon::bench {

namespace {

std::string base64(const unsigned char* data, std::size_t size) {
    std::string text(4 * ((size + 2) / 3) + 1, '\0');
    int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data,
                            static_cast<int>(size));
    text.resize(static_cast<std::size_t>(n));
    return text;
}

void append_length(std::string& out, std::size_t size) {
    constexpr unsigned masked = 0x80;
    unsigned extra = size < 126 ? 0 : size < 65536 ? 2 : 8;
    unsigned first = extra == 0 ? static_cast<unsigned>(size) : extra == 2 ? 126 : 127;
    out.push_back(static_cast<char>(masked | first));
    for (unsigned i = extra; i-- > 0;)
        out.push_back(static_cast<char>(size >> (8 * i) & 0xff));
}

} // namespace

void append_masked(std::string& out, opcode op, std::string_view payload, std::uint32_t key) {
    out.push_back(static_cast<char>(0x80 | static_cast<unsigned>(op)));
    append_length(out, payload.size());
    std::array<char, 8> mask; // the key twice, so that eight bytes are masked at once
    std::memcpy(mask.data(), &key, 4);
    std::memcpy(mask.data() + 4, &key, 4);
    out.append(mask.data(), 4);
    std::size_t at = out.size(), i = 0;
    out.append(payload);
    std::uint64_t wide;
    std::memcpy(&wide, mask.data(), 8);
    for (; i + 8 <= payload.size(); i += 8) {
        std::uint64_t word;
        std::memcpy(&word, out.data() + at + i, 8);
        word ^= wide;
        std::memcpy(out.data() + at + i, &word, 8);
    }
    for (; i < payload.size(); ++i)
        out[at + i] = static_cast<char>(out[at + i] ^ mask[i & 3]);
}

frame_head parse_frame(std::string_view data) noexcept {
    frame_head head;
    auto at = [&](std::size_t i) { return static_cast<unsigned char>(data[i]); };
    if (data.size() < 2)
        return head;
    unsigned op = at(0) & 0x0fu;
    bool known = op <= 2 || (op >= 8 && op <= 10);
    if ((at(0) & 0x70u) != 0 || (at(1) & 0x80u) != 0 || !known) {
        head.found = frame_head::state::invalid;
        return head;
    }
    head.final = (at(0) & 0x80u) != 0;
    head.op = static_cast<opcode>(op);
    std::size_t extra = at(1) == 126 ? 2 : at(1) == 127 ? 8 : 0;
    head.head_bytes = 2 + extra;
    if (data.size() < head.head_bytes)
        return head;
    head.payload_bytes = extra ? 0 : at(1);
    for (std::size_t i = 0; i < extra; ++i)
        head.payload_bytes = head.payload_bytes << 8 | at(2 + i);
    if (data.size() - head.head_bytes >= head.payload_bytes)
        head.found = frame_head::state::complete;
    return head;
}

std::string accept_value(std::string_view key) {
    std::string joined(key);
    joined += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
    SHA1(reinterpret_cast<const unsigned char*>(joined.data()), joined.size(), digest.data());
    return base64(digest.data(), digest.size());
}

std::string make_key(std::uint64_t number) {
    std::array<unsigned char, 16> nonce{};
    std::memcpy(nonce.data(), &number, sizeof number);
    return base64(nonce.data(), nonce.size());
}

target parse_target(std::string_view url) {
    auto wrong = [&](const char* why) { return usage_error("'" + std::string(url) + "' " + why); };
    target t;
    std::size_t colon = url.find("://");
    if (colon == std::string_view::npos)
        throw wrong("has no scheme");
    t.scheme = std::string(url.substr(0, colon));
    std::string_view rest = url.substr(colon + 3);
    std::size_t slash = rest.find('/');
    std::string_view authority = rest.substr(0, slash);
    t.path = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
    std::size_t port_at = authority.rfind(':');
    t.host = std::string(authority.substr(0, port_at));
    if (t.host == "localhost")
        t.host = "127.0.0.1";
    t.port = 80;
    if (port_at != std::string_view::npos) {
        std::string_view digits = authority.substr(port_at + 1);
        auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), t.port);
        if (failed != std::errc{} || end != digits.data() + digits.size() || t.port == 0)
            throw wrong("has no valid port");
    }
    return t;
}

} // namespace carillon::bench
