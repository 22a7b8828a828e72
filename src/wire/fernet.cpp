#include "wire/fernet.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <memory>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "wire/base64.hpp"
#include <carillon/base/assert.hpp>

namespace carillon::wire {

namespace {

constexpr std::byte version{0x80};
constexpr std::size_t half = 16; // of a key; also a block, and an initialization vector
constexpr std::size_t head_size = 1 + 8 + half;
constexpr std::size_t signature_size = 32;
constexpr std::int64_t clock_skew_s = 60;

using signature = std::array<std::byte, signature_size>;

struct end_context {
    void operator()(EVP_CIPHER_CTX* c) const noexcept { EVP_CIPHER_CTX_free(c); }
    void operator()(EVP_MAC_CTX* c) const noexcept { EVP_MAC_CTX_free(c); }
};

const unsigned char* raw(const std::byte* p) { return reinterpret_cast<const unsigned char*>(p); }
unsigned char* raw(std::byte* p) { return reinterpret_cast<unsigned char*>(p); }

// Looked up once: OpenSSL searches its providers at each use of a name.
const EVP_CIPHER* aes_128_cbc() {
    static const EVP_CIPHER* const found = EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr);
    return found;
}

EVP_MAC* hmac() {
    static EVP_MAC* const found = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    return found;
}

signature sign(std::span<const std::byte, half> key, bytes_view data) {
    const std::unique_ptr<EVP_MAC_CTX, end_context> c(EVP_MAC_CTX_new(hmac()));
    char digest[] = "SHA256";
    const OSSL_PARAM settings[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    signature out;
    std::size_t size = 0;
    const bool done = c && EVP_MAC_init(c.get(), raw(key.data()), half, settings) == 1 &&
                      EVP_MAC_update(c.get(), raw(data.data()), data.size()) == 1 &&
                      EVP_MAC_final(c.get(), raw(out.data()), &size, out.size()) == 1;
    CARILLON_ASSERT(done && size == signature_size, "the crypto library knows HMAC-SHA256");
    return out;
}

// Runs the whole of `in` through the cipher; false when the padding of a decryption is wrong. `out` has room for one
// block more than `in`.
bool run_cipher(bool encrypting, std::span<const std::byte, half> key, const std::byte* vector,
                bytes_view in, std::byte* out, std::size_t& written) {
    const std::unique_ptr<EVP_CIPHER_CTX, end_context> c(EVP_CIPHER_CTX_new());
    const bool ready = c && EVP_CipherInit_ex2(c.get(), aes_128_cbc(), raw(key.data()), raw(vector),
                                               encrypting, nullptr) == 1;
    CARILLON_ASSERT(ready, "the crypto library knows AES-128-CBC");
    written = 0;
    // OpenSSL counts in int.
    constexpr std::size_t piece_max = std::size_t{1} << 30;
    int now = 0;
    while (!in.empty()) {
        const auto piece = in.first(std::min(in.size(), piece_max));
        in = in.subspan(piece.size());
        if (EVP_CipherUpdate(c.get(), raw(out + written), &now, raw(piece.data()),
                             static_cast<int>(piece.size())) != 1)
            return false;
        written += static_cast<std::size_t>(now);
    }
    if (EVP_CipherFinal_ex(c.get(), raw(out + written), &now) != 1)
        return false;
    written += static_cast<std::size_t>(now);
    return true;
}

std::uint64_t stamp_of(bytes_view token) {
    std::uint64_t stamp = 0;
    for (const auto b : token.subspan(1, 8))
        stamp = stamp << 8 | std::to_integer<std::uint64_t>(b);
    return stamp;
}

bool is_timely(std::uint64_t stamp, unix_seconds now, std::chrono::seconds age_max) {
    const auto present = now.time_since_epoch().count();
    if (stamp > static_cast<std::uint64_t>(INT64_MAX))
        return false;
    const auto made = static_cast<std::int64_t>(stamp);
    return made >= present - age_max.count() && made - clock_skew_s <= present;
}

} // namespace

fernet_key::fernet_key(std::string_view text) {
    const bool done = EVP_Q_digest(nullptr, "SHA256", nullptr, text.data(), text.size(),
                                   raw(key_.data()), nullptr) == 1;
    CARILLON_ASSERT(done, "the crypto library knows SHA-256");
}

fernet_key::~fernet_key() { OPENSSL_cleanse(key_.data(), key_.size()); }

std::string fernet_key::encrypt(std::string_view plain, unix_seconds now) const {
    std::array<std::byte, half> vector;
    const bool done = RAND_bytes(raw(vector.data()), static_cast<int>(vector.size())) == 1;
    CARILLON_ASSERT(done, "the system gives random bytes");
    return encrypt(plain, now, vector);
}

std::string fernet_key::encrypt(std::string_view plain, unix_seconds now,
                                std::span<const std::byte, 16> vector) const {
    bytes token(head_size + plain.size() + half + signature_size);
    token[0] = version;
    const auto stamp = static_cast<std::uint64_t>(now.time_since_epoch().count());
    for (std::size_t i = 0; i < 8; ++i)
        token[1 + i] = static_cast<std::byte>(stamp >> (56 - 8 * i));
    std::copy(vector.begin(), vector.end(), token.begin() + 9);

    const std::span<const std::byte, 32> key(key_);
    std::size_t written = 0;
    const bool done = run_cipher(true, key.last<half>(), vector.data(), as_bytes(plain),
                                 token.data() + head_size, written);
    CARILLON_ASSERT(done, "whatever is given can be encrypted");
    const auto signed_part = bytes_view(token).first(head_size + written);
    const auto mark = sign(key.first<half>(), signed_part);
    token.resize(signed_part.size());
    token.insert(token.end(), mark.begin(), mark.end());
    return base64_encode(token, base64_alphabet::url_safe);
}

std::optional<std::string> fernet_key::decrypt(std::string_view text, unix_seconds now,
                                               std::optional<std::chrono::seconds> age_max) const {
    const auto decoded = base64_decode(text, base64_alphabet::url_safe);
    if (!decoded || decoded->size() < head_size + half + signature_size)
        return std::nullopt;
    const bytes_view token(*decoded);
    const std::span<const std::byte, 32> key(key_);
    const auto signed_part = token.first(token.size() - signature_size);
    const auto mark = sign(key.first<half>(), signed_part);
    if (CRYPTO_memcmp(mark.data(), token.last(signature_size).data(), signature_size) != 0)
        return std::nullopt;
    if (token[0] != version || (age_max && !is_timely(stamp_of(token), now, *age_max)))
        return std::nullopt;

    const auto coded = signed_part.subspan(head_size);
    std::string plain(coded.size() + half, '\0');
    std::size_t written = 0;
    if (!run_cipher(false, key.last<half>(), token.data() + 9, coded,
                    reinterpret_cast<std::byte*>(plain.data()), written))
        return std::nullopt;
    plain.resize(written);
    return plain;
}

} // namespace carillon::wire
