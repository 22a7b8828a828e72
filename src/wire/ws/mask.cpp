#include "wire/ws/mask.hpp"

#include <cstring>

namespace carillon::wire::ws {

void apply_mask(std::span<std::byte> data, mask_key key, std::uint64_t offset) noexcept {
    std::array<std::uint8_t, 8> turned{};
    for (std::size_t i = 0; i < turned.size(); ++i)
        turned[i] = key[(offset + i) % 4];
    std::uint64_t word = 0;
    std::memcpy(&word, turned.data(), 8);

    auto* p = data.data();
    auto* const end = p + data.size();
    // Four words a turn: compilers make two 16-byte operations of them at -O2 without any option.
    for (; end - p >= 32; p += 32) {
        std::uint64_t block[4];
        std::memcpy(block, p, 32);
        for (auto& part : block)
            part ^= word;
        std::memcpy(p, block, 32);
    }
    for (; end - p >= 8; p += 8) {
        std::uint64_t part = 0;
        std::memcpy(&part, p, 8);
        part ^= word;
        std::memcpy(p, &part, 8);
    }
    for (std::size_t i = 0; p != end; ++i, ++p)
        *p ^= std::byte{turned[i]};
}

} // namespace carillon::wire::ws
