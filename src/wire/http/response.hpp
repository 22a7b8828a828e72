// HTTP/1.1 response heads, written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http/request.hpp"

namespace carillon::wire::http {

// "Not Found" for 404; "Unknown" for a status without a registered phrase.
std::string_view reason_phrase(int status) noexcept;

// Whether a header may reach the wire: the name is a token, and no CR, LF or NUL stands in the value.
bool may_be_written(std::string_view name, std::string_view value) noexcept;

struct response_head {
    int status = 200;
    std::vector<header>
        headers; // names and values with CR, LF or NUL are dropped: they never reach the wire
    std::optional<std::uint64_t>
        content_length;     // absent: none is written (1xx, 204, 304, upgrades)
    bool keep_alive = true; // false writes Connection: close
};

// Status line, Date, the headers, Content-Length and Connection as asked, and the empty line. `date` is IMF-fixdate
// (RFC 9110 5.6.7) or empty for none.
std::string write_head(const response_head& head, std::string_view date);
std::string http_date(std::int64_t unix_seconds);
// Unix seconds of an IMF-fixdate, RFC 850 or asctime date (RFC 9110 5.6.7), or nothing.
std::optional<std::int64_t> parse_http_date(std::string_view text) noexcept;

} // namespace carillon::wire::http
