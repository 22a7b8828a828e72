#include "web/static_content.hpp"

#include <fmt/format.h>

#include "wire/http/response.hpp"
#include "wire/http/target.hpp"

namespace carillon::web {

namespace {

bool not_modified(const request& asked, const representation& there) {
    if (asked.has_header("if-none-match"))
        return wire::http::etag_matches(asked.header("if-none-match"), there.etag);
    const auto since = wire::http::parse_http_date(asked.header("if-modified-since"));
    const auto changed = wire::http::parse_http_date(there.last_modified);
    return since && changed && *changed <= *since;
}

} // namespace

selected_part select_part(const request& asked, const representation& there) {
    selected_part part;
    auto& answer = part.answer;
    answer.with("ETag", there.etag)
        .with("Cache-Control", there.cache_control)
        .with("Accept-Ranges", "bytes");
    if (!there.last_modified.empty())
        answer.with("Last-Modified", there.last_modified);
    if (there.varies)
        answer.with("Vary", "Accept-Encoding");
    if (not_modified(asked, there)) {
        answer.status = 304;
        return part;
    }
    answer.with("Content-Type", there.content_type);
    if (there.gzipped)
        answer.with("Content-Encoding", "gzip");
    part.with_body = true;
    part.size_bytes = there.size_bytes;
    wire::http::byte_range range;
    const bool range_holds =
        !asked.has_header("if-range") || asked.header("if-range") == there.etag;
    if (!asked.has_header("range") || !range_holds)
        return part;
    switch (wire::http::parse_range(asked.header("range"), there.size_bytes, range)) {
    case wire::http::range_kind::none: break;
    case wire::http::range_kind::unsatisfiable:
        answer = error_response(errc::bad_request, "the range lies outside the file");
        answer.status = 416;
        answer.with("Content-Range", fmt::format("bytes */{}", there.size_bytes));
        part.with_body = false;
        break;
    case wire::http::range_kind::one:
        answer.status = 206;
        answer.with("Content-Range",
                    fmt::format("bytes {}-{}/{}", range.first, range.last, there.size_bytes));
        part.first = range.first;
        part.size_bytes = range.last - range.first + 1;
        break;
    }
    return part;
}

} // namespace carillon::web
