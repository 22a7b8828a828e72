// The chunked transfer coding (RFC 9112 section 7.1), read as it arrives.
#pragma once

#include <cstdint>

#include "wire/http/lines.hpp"
#include <carillon/base/bytes.hpp>

namespace carillon::wire::http {

// Takes the framing off a chunked body. Extensions and trailers are checked for their form, bounded and ignored.
class chunk_reader {
public:
    // The limits hold for the trailer section.
    chunk_reader(std::uint32_t trailer_bytes_max, std::uint32_t trailer_lines_max) noexcept;

    enum class what : std::uint8_t { need_more, data, end, refused };
    // Takes bytes from the front of `input` up to and including the next piece of data, which is set.
    // `bytes_max` (0: no limit) bounds the sum of all chunks and is judged at each chunk's header: 413.
    what next(bytes_view& input, std::uint64_t bytes_max, bytes_view& data) noexcept;
    const refusal& problem() const noexcept { return problem_; }

private:
    enum class at : std::uint8_t {
        size,
        space,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer
    };

    bool take(char c, std::uint64_t bytes_max) noexcept;
    bool take_size(char c) noexcept;
    bool end_size(std::uint64_t bytes_max) noexcept;
    bool refuse(int status, const char* why) noexcept;

    std::uint64_t left_ = 0;  // of the current chunk
    std::uint64_t total_ = 0; // of all chunks announced so far
    std::uint32_t extension_bytes_ = 0;
    std::uint8_t digits_ = 0;
    at at_ = at::size;
    line_scanner trailer_;
    refusal problem_;
};

} // namespace carillon::wire::http
