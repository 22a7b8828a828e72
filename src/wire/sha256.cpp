#include "wire/sha256.hpp"

#include <array>

#include <openssl/evp.h>

#include <carillon/base/assert.hpp>

namespace carillon::wire {

std::string sha256_hex(std::string_view data) {
    std::array<unsigned char, 32> digest;
    const bool done = EVP_Q_digest(nullptr, "SHA256", nullptr, data.data(), data.size(),
                                   digest.data(), nullptr) == 1;
    CARILLON_ASSERT(done, "the crypto library knows SHA-256");
    constexpr char digits[] = "0123456789abcdef";
    std::string hex;
    for (const auto one : digest) {
        hex += digits[one >> 4];
        hex += digits[one & 15];
    }
    return hex;
}

} // namespace carillon::wire
