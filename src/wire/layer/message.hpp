// The bytes of one channel-layer message on Redis: `random prefix | payload`, the payload msgpack, JSON, or a Fernet
// token of either. As channels_redis.core (12 bytes of prefix) and channels_redis.pubsub (none) write them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/fernet.hpp"
#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon::wire::layer {

enum class serializer : std::uint8_t { msgpack, json };

struct codec_options {
    serializer format = serializer::msgpack;
    std::uint32_t random_prefix_bytes = 12;
    // The first encrypts, all are tried for decryption. Empty: no encryption.
    std::vector<std::string> keys;
    // Of encrypted messages; older ones are refused. Nothing: no limit (pubsub).
    std::optional<std::chrono::seconds> age_max;
};

struct decoded_message {
    std::string type;
    object members; // without "type" and "__asgi_channel__"
    std::vector<std::string>
        channels; // of "__asgi_channel__", which may be a text or a list; empty when absent
};

// An event that was serialized once and can be addressed many times.
class packed_event {
public:
    // Everything but the addresses. errc::invalid: text that is no UTF-8; a member named "type" or "__asgi_channel__";
    // bytes, NaN or infinities with JSON (Python writes bare words for the latter, which no other reader takes).
    static result<packed_event> pack(std::string_view type, const object& members,
                                     serializer format);
    std::size_t size_bytes() const noexcept { return body_.size(); }

private:
    friend class message_codec;
    serializer format_ = serializer::msgpack;
    std::size_t count_ = 0; // members, with the type
    std::string body_;      // the members without the head of the map
};

// Immutable; any number of threads may use one. Owns its keys.
class message_codec {
public:
    explicit message_codec(const codec_options& options);

    // The addresses of a message: none, the one of a direct send (a text), or those of a group send (a list).
    enum class addressing : std::uint8_t { none, one, list };
    // `to` holds exactly one name for addressing::one and is not looked at for addressing::none; the event is packed
    // in this codec's format. Every call takes fresh random bytes and the present time. A name that is no valid UTF-8,
    // which nobody can have, gets U+FFFD for what is wrong: no address may end a reader.
    std::string encode(const packed_event& e, addressing how,
                       std::span<const std::string_view> to) const;

    // errc::corrupt with the reason: too short, not decryptable with any key, too old, malformed, not a map,
    // no text under "type". `now` decides about age. The values of a message may take 80 times its
    // bytes: the caller bounds its size.
    result<decoded_message> decode(std::string_view data, unix_seconds now) const;

    serializer format() const noexcept { return format_; }

private:
    serializer format_;
    std::uint32_t prefix_bytes_;
    std::vector<fernet_key> keys_;
    std::optional<std::chrono::seconds> age_max_;
};

// Which of the hosts a name belongs to: trunc((crc32(text) & 4095) / (4096.0 / hosts)), as channels_redis computes it.
// `hosts` is at least 1.
std::size_t host_index(std::string_view text, std::size_t hosts) noexcept;

// The part that selects the Redis key: up to and including the first '!', or the whole name.
std::string_view non_local_name(std::string_view channel) noexcept;

} // namespace carillon::wire::layer
