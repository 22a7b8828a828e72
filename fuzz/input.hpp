// What the fuzz targets share: checks that always hold, and cutting an input as its first bytes say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace carillon::fuzz {

// Aborts, so that the fuzzer keeps the input.
inline void must(bool holds, const char* what) {
    if (holds)
        return;
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
}

// Sizes of pieces, repeated until the stream ends: two for each seed, small ones often.
inline std::vector<std::size_t> piece_sizes(std::uint8_t seed) {
    return {std::size_t{1} + (seed & 7u), std::size_t{1} + (seed >> 3u)};
}

// Calls take(piece) for each piece until it says false.
template <class Take>
void in_pieces(std::string_view stream, std::uint8_t seed, Take take) {
    const auto sizes = piece_sizes(seed);
    for (std::size_t begin = 0, i = 0; begin < stream.size(); ++i) {
        const auto piece = stream.substr(begin, sizes[i % sizes.size()]);
        begin += piece.size();
        if (!take(piece))
            return;
    }
}

} // namespace carillon::fuzz
