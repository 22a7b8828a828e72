#include "base/uuid.hpp"

#include <sys/random.h>

#include <array>

#include <carillon/base/assert.hpp>

namespace carillon {

std::string make_uuid() {
    std::array<unsigned char, 16> random;
    const auto n = ::getrandom(random.data(), random.size(), 0);
    CARILLON_ASSERT(n == static_cast<ssize_t>(random.size()), "the kernel gives random numbers");
    random[6] = static_cast<unsigned char>((random[6] & 0x0f) | 0x40); // version 4
    random[8] = static_cast<unsigned char>((random[8] & 0x3f) | 0x80); // the variant of RFC 9562
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t i = 0; i < random.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text += '-';
        text += digits[random[i] >> 4];
        text += digits[random[i] & 0x0f];
    }
    return text;
}

} // namespace carillon
