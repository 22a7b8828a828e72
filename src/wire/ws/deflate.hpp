// permessage-deflate (RFC 7692): negotiation, and whole messages in and out.
//
// Neither side keeps a compression context between messages: the server announces both no_context_takeover
// parameters (section 7.1.1 allows it to do so unasked). So one message is compressed once for all connections with the
// same window, and a silent connection owns no zlib state.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/bytes.hpp>

namespace carillon::wire::ws {

struct deflate_agreement {
    int server_window_bits = 15; // 9 to 15: what the sender may use; zlib cannot do 8
    std::string response;        // the value of Sec-WebSocket-Extensions in the answer
};

// Takes the values of all Sec-WebSocket-Extensions request headers, joined by ", ". The first offer of
// permessage-deflate that can be met is accepted; malformed, unknown, doubled or out-of-range parameters make an
// offer one that cannot be met (section 7.1). Nothing when none can.
std::optional<deflate_agreement> negotiate_deflate(std::string_view offers);

// Compresses whole messages. Not thread-safe; keep one per shard, it holds up to 256 KiB for each window size used.
class deflater {
public:
    deflater();
    ~deflater();
    // The message as section 7.2.1 wants it: raw deflate without the tail 00 00 ff ff.
    // `window_bits` is 9 to 15. The bytes are valid until the next call.
    bytes_view compress(bytes_view message, int window_bits);

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

// Inflates whole messages. Not thread-safe; keep one per shard.
class inflater {
public:
    enum class outcome { ok, too_large, corrupt };
    inflater();
    ~inflater();
    // Appends the inflated message to `out`, which never grows beyond `bytes_max`; memory follows the output, not
    // what the input claims.
    outcome inflate(bytes_view message, std::size_t bytes_max, bytes& out);

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace carillon::wire::ws
