// Masking (RFC 6455 section 5.3), which is also unmasking.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <carillon/base/bytes.hpp>

namespace carillon::wire::ws {

using mask_key = std::array<std::uint8_t, 4>; // in the order of the wire

// Masks `data` in place. `offset` is the position of its first byte in the frame's payload.
void apply_mask(std::span<std::byte> data, mask_key key, std::uint64_t offset = 0) noexcept;

} // namespace carillon::wire::ws
