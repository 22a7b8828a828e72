// The line structure of a message head (RFC 9112 section 2), judged byte by byte.
#pragma once

#include <cstdint>
#include <string_view>

#include <carillon/base/bytes.hpp>

namespace carillon::wire::http {

// Why a request cannot be served; status 0 means that nothing is wrong.
struct refusal {
    int status = 0;
    const char* why = "";
    explicit operator bool() const noexcept { return status != 0; }
};

// Finds the end of a request's head or of a trailer section. Refuses bare CR and LF, control characters, folded
// lines, field names that are no tokens, a request line without a version that is served, and what is above the
// limits. Each byte is judged alone, so that no refusal depends on how the head is cut.
class line_scanner {
public:
    enum class section : std::uint8_t { head, trailer };
    line_scanner(section part, std::uint32_t bytes_max, std::uint32_t lines_max) noexcept;

    enum class state : std::uint8_t { more, whole, refused };
    // Reads from `piece` and sets `taken` to the number of bytes read: all of them, or those up to the end.
    state scan(bytes_view piece, std::size_t& taken) noexcept;
    const refusal& problem() const noexcept { return problem_; }
    // True when no byte was read but one empty line, which may stand before a request (section 2.2).
    bool untouched() const noexcept { return bytes_ == 0; }

private:
    enum class at : std::uint8_t {
        start,
        start_lf,
        request_line,
        line_start,
        name,
        value,
        lf,
        end_lf
    };

    std::size_t plain_run(std::string_view text) const noexcept;
    bool take(char c) noexcept;
    bool take_request_line(char c) noexcept;
    bool refuse(int status, const char* why) noexcept;
    bool end_request_line() noexcept;

    std::uint32_t bytes_max_;
    std::uint32_t lines_max_;
    std::uint32_t bytes_ = 0;
    std::uint32_t lines_ = 0;
    std::uint8_t spaces_ = 0;       // in the request line
    std::uint8_t version_size_ = 0; // bytes of the request line after its second space
    char version_[8];
    bool empty_line_seen_ = false;
    at at_;
    refusal problem_;
};

} // namespace carillon::wire::http
