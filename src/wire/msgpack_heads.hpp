// The first bytes of msgpack values, for the writer and the reader alike.
#pragma once

#include <bit>
#include <cstdint>

namespace carillon::wire::msgpack {

// The first bytes, by their names in the specification; the short forms carry their size or number in the low bits.
enum head : std::uint8_t {
    positive_fixint_last = 0x7f,
    fixmap = 0x80,
    fixarray = 0x90,
    fixstr = 0xa0,
    nil = 0xc0,
    unused = 0xc1,
    false_head = 0xc2,
    true_head = 0xc3,
    bin8 = 0xc4,
    bin16 = 0xc5,
    bin32 = 0xc6,
    float32 = 0xca,
    float64 = 0xcb,
    uint8 = 0xcc,
    uint16 = 0xcd,
    uint32 = 0xce,
    uint64 = 0xcf,
    int8 = 0xd0,
    int16 = 0xd1,
    int32 = 0xd2,
    int64 = 0xd3,
    str8 = 0xd9,
    str16 = 0xda,
    str32 = 0xdb,
    array16 = 0xdc,
    array32 = 0xdd,
    map16 = 0xde,
    map32 = 0xdf,
    negative_fixint = 0xe0,
};

// The same in both directions: the network's order is the other one here.
template <class Number>
Number swapped(Number n) noexcept {
    static_assert(std::endian::native == std::endian::little);
    if constexpr (sizeof(Number) == 8)
        return static_cast<Number>(__builtin_bswap64(static_cast<std::uint64_t>(n)));
    else if constexpr (sizeof(Number) == 4)
        return static_cast<Number>(__builtin_bswap32(static_cast<std::uint32_t>(n)));
    else if constexpr (sizeof(Number) == 2)
        return static_cast<Number>(__builtin_bswap16(static_cast<std::uint16_t>(n)));
    else
        return n;
}

} // namespace carillon::wire::msgpack
