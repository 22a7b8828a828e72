#include "wire/http/chunked.hpp"

#include <algorithm>

namespace carillon::wire::http {

namespace {

// Of all chunks of one body together; no client is known to send any.
constexpr std::uint32_t extension_bytes_max = 4096;
constexpr std::uint8_t size_digits_max = 15; // keeps sizes and their sum below 2^63

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

chunk_reader::chunk_reader(std::uint32_t trailer_bytes_max,
                           std::uint32_t trailer_lines_max) noexcept
    : trailer_(line_scanner::section::trailer, trailer_bytes_max, trailer_lines_max) {}

chunk_reader::what chunk_reader::next(bytes_view& input, std::uint64_t bytes_max,
                                      bytes_view& data) noexcept {
    while (!input.empty()) {
        if (at_ == at::data) {
            data =
                input.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
            input = input.subspan(data.size());
            left_ -= data.size();
            if (left_ == 0)
                at_ = at::data_cr;
            return what::data;
        }
        if (at_ == at::trailer) {
            std::size_t taken = 0;
            const auto found = trailer_.scan(input, taken);
            input = input.subspan(taken);
            if (found == line_scanner::state::whole)
                return what::end;
            problem_ = trailer_.problem();
            return found == line_scanner::state::more ? what::need_more : what::refused;
        }
        const char c = static_cast<char>(input.front());
        input = input.subspan(1);
        if (!take(c, bytes_max))
            return what::refused;
    }
    return what::need_more;
}

bool chunk_reader::refuse(int status, const char* why) noexcept {
    problem_ = {status, why};
    return false;
}

bool chunk_reader::take(char c, std::uint64_t bytes_max) noexcept {
    switch (at_) {
    case at::size: return take_size(c);
    case at::space: // section 7.1.1 allows spaces before the ';' of an extension, and nowhere else
        if (c == ';')
            at_ = at::extension;
        return c == ';' || ((c == ' ' || c == '\t') && ++extension_bytes_ <= extension_bytes_max) ||
               refuse(400, "a malformed chunk size");
    case at::extension:
        if (c == '\r') {
            at_ = at::size_lf;
            return true;
        }
        if (++extension_bytes_ > extension_bytes_max)
            return refuse(400, "chunk extensions are too long");
        return (static_cast<unsigned char>(c) >= 0x20 && c != '\x7f') || c == '\t' ||
               refuse(400, "a control character in a chunk extension");
    case at::size_lf:
        return c == '\n' ? end_size(bytes_max) : refuse(400, "a bare CR in a chunk header");
    case at::data_cr:
        at_ = at::data_lf;
        return c == '\r' || refuse(400, "a chunk longer than its size");
    case at::data_lf:
        at_ = at::size;
        return c == '\n' || refuse(400, "a chunk longer than its size");
    case at::data:
    case at::trailer: break;
    }
    return true;
}

bool chunk_reader::take_size(char c) noexcept {
    const int digit = hex_digit(c);
    if (digit >= 0) {
        if (++digits_ > size_digits_max)
            return refuse(400, "a chunk size of too many digits");
        left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
        return true;
    }
    if (digits_ == 0)
        return refuse(400, "a malformed chunk size");
    if (c == '\r')
        at_ = at::size_lf;
    else if (c == ';')
        at_ = at::extension;
    else if (c == ' ' || c == '\t')
        at_ = at::space;
    else
        return refuse(400, "a malformed chunk size");
    return true;
}

bool chunk_reader::end_size(std::uint64_t bytes_max) noexcept {
    digits_ = 0;
    if (left_ == 0) {
        at_ = at::trailer;
        return true;
    }
    constexpr std::uint64_t ever = std::uint64_t{1} << 62;
    if (left_ > (bytes_max ? bytes_max : ever) || total_ > (bytes_max ? bytes_max : ever) - left_)
        return refuse(413, "the body is too large");
    total_ += left_;
    at_ = at::data;
    return true;
}

} // namespace carillon::wire::http
