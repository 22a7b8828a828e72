#include "wire/http/lines.hpp"

#include <array>

#include "wire/http/token.hpp"

namespace carillon::wire::http {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr auto controls = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0; c < 0x20; ++c)
        table[c] = c != '\t';
    table[0x7f] = true;
    return table;
}();

bool is_control(char c) { return controls[static_cast<unsigned char>(c)]; }

} // namespace

line_scanner::line_scanner(section part, std::uint32_t bytes_max, std::uint32_t lines_max) noexcept
    : bytes_max_(bytes_max), lines_max_(lines_max),
      at_(part == section::head ? at::start : at::line_start) {}

line_scanner::state line_scanner::scan(bytes_view piece, std::size_t& taken) noexcept {
    const auto text = as_text(piece);
    for (taken = 0; taken < text.size();) {
        if (const auto run = plain_run(text.substr(taken))) {
            taken += run;
            bytes_ += static_cast<std::uint32_t>(run);
            continue;
        }
        const char c = text[taken++];
        const bool last = at_ == at::end_lf && c == '\n';
        if (!take(c))
            return state::refused;
        if (last)
            return state::whole;
    }
    return state::more;
}

// How many bytes at the front, below the limit, are the inside of a value or a name and change nothing.
std::size_t line_scanner::plain_run(std::string_view text) const noexcept {
    text = text.substr(0, bytes_max_ - bytes_);
    std::size_t run = 0;
    if (at_ == at::value)
        while (run < text.size() && !is_control(text[run]))
            ++run;
    else if (at_ == at::name)
        while (run < text.size() && is_token_char(text[run]))
            ++run;
    return run;
}

bool line_scanner::refuse(int status, const char* why) noexcept {
    problem_ = {status, why};
    return false;
}

bool line_scanner::take(char c) noexcept {
    if (at_ == at::start && c == '\r' && !empty_line_seen_) {
        empty_line_seen_ = true;
        at_ = at::start_lf;
        return true;
    }
    if (at_ == at::start_lf) {
        at_ = at::start;
        return c == '\n' || refuse(400, "a bare CR before the request");
    }
    if (++bytes_ > bytes_max_)
        return refuse(431, "the head is too large");
    if ((at_ == at::lf || at_ == at::end_lf) && c != '\n')
        return refuse(400, "a bare CR in the head");
    if (at_ != at::lf && at_ != at::end_lf && c != '\r' && is_control(c))
        return refuse(400, c == '\n' ? "a bare LF in the head" : "a control character in the head");

    switch (at_) {
    case at::start:
    case at::start_lf:
    case at::request_line: return take_request_line(c);
    case at::line_start:
        if (c == '\r') {
            at_ = at::end_lf;
            return true;
        }
        if (c == ' ' || c == '\t')
            return refuse(400, "a folded header line");
        if (++lines_ > lines_max_)
            return refuse(431, "too many headers");
        at_ = at::name;
        return is_token_char(c) || refuse(400, "a header name that is no token");
    case at::name:
        if (c == ':')
            at_ = at::value;
        return c == ':' || is_token_char(c) || refuse(400, "a header name that is no token");
    case at::value:
        if (c == '\r')
            at_ = at::lf;
        return true;
    case at::lf: at_ = at::line_start; return true;
    case at::end_lf: return true;
    }
    return true;
}

bool line_scanner::take_request_line(char c) noexcept {
    at_ = at::request_line;
    if (c == '\r') {
        at_ = at::lf;
        return end_request_line();
    }
    if (static_cast<unsigned char>(c) >= 0x80 || c == '\t')
        return refuse(400, "a request line with other than visible ASCII");
    if (c == ' ') {
        if (++spaces_ > 2 || bytes_ == 1)
            return refuse(400, "a request line that is not three words");
    } else if (spaces_ == 2) {
        if (version_size_ == sizeof(version_))
            return refuse(400, "a malformed HTTP version");
        version_[version_size_++] = c;
    } else if (spaces_ == 0 && !is_token_char(c)) {
        return refuse(400, "a method that is no token");
    }
    return true;
}

bool line_scanner::end_request_line() noexcept {
    const std::string_view version(version_, version_size_);
    if (version == "HTTP/1.1" || version == "HTTP/1.0")
        return true;
    if (version.size() == 8 && version.substr(0, 5) == "HTTP/" && is_digit(version[5]) &&
        version[6] == '.' && is_digit(version[7]))
        return refuse(505, "HTTP 1.0 and 1.1 are served");
    return refuse(400, "a request line without an HTTP version");
}

} // namespace carillon::wire::http
