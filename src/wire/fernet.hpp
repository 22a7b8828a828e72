// Fernet tokens as channels_redis makes them: AES-128-CBC with PKCS#7 padding under HMAC-SHA256, in URL-safe base64
// with padding (https://github.com/fernet/spec/blob/master/Spec.md).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <carillon/base/result.hpp>

namespace carillon::wire {

using unix_seconds = std::chrono::sys_seconds;

// The key of one text: the SHA-256 of its UTF-8 bytes, the first half signs, the second encrypts. Wiped when it ends.
class fernet_key {
public:
    explicit fernet_key(std::string_view text);
    fernet_key(const fernet_key&) = default;
    fernet_key& operator=(const fernet_key&) = default;
    ~fernet_key();

    // A token of `now`, with a random initialization vector; the other form is for test vectors.
    std::string encrypt(std::string_view plain, unix_seconds now) const;
    std::string encrypt(std::string_view plain, unix_seconds now,
                        std::span<const std::byte, 16> vector) const;

    // The plaintext, or nothing: not ours, changed, or malformed. With `age_max` also nothing for a token older than
    // that, or more than 60 s in the future. Compares in constant time and checks the signature before anything else.
    std::optional<std::string> decrypt(std::string_view token, unix_seconds now,
                                       std::optional<std::chrono::seconds> age_max) const;

private:
    std::array<std::byte, 32> key_;
};

} // namespace carillon::wire
