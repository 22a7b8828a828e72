// static_content: an unchanging representation and the request for it: 200, 206, 304 or 416 (RFC 9110 13 and 14).
#pragma once

#include <cstdint>
#include <string>

#include <carillon/web/request.hpp>
#include <carillon/web/response.hpp>

namespace carillon::web {

struct representation {
    std::string content_type;
    std::string etag;          // quoted
    std::string last_modified; // an HTTP date, or empty
    std::string cache_control;
    std::uint64_t size_bytes = 0;
    bool gzipped = false; // the bytes are a gzip stream of the content
    bool varies = false;  // another client would get another encoding
};

// What is to be sent: the head of the answer, and which bytes of the representation.
struct selected_part {
    response answer; // without a body
    bool with_body = false;
    std::uint64_t first = 0;
    std::uint64_t size_bytes = 0;
};
selected_part select_part(const request& asked, const representation& there);

} // namespace carillon::web
