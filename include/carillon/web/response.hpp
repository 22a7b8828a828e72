// response: what a handler answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <carillon/base/error.hpp>
#include <carillon/base/frame.hpp>
#include <carillon/base/value.hpp>
#include <carillon/web/scope.hpp>

namespace carillon {

// A plain value. Content-Length, Date and Connection are the framework's business.
struct response {
    int status = 200;
    name_value_list headers; // CR, LF and NUL in them never reach the wire
    std::string body;
    shared_frame shared_body; // when not empty, sent instead of `body`, without a copy
    std::string file_path;    // when not empty, this part of that file is sent instead
    std::uint64_t file_offset = 0;
    std::uint64_t file_bytes = 0;

    response& with(std::string_view name, std::string_view content);
    bool has(std::string_view name) const noexcept;
};

response json_response(const value& content, int status = 200);
response html_response(std::string html, int status = 200);
response text_response(std::string text, int status = 200);
// 302, or another redirecting status.
response redirect_to(std::string_view location, int status = 302);
// The error envelope `{"error": {"code", "message", "fields"?}}` with the status that belongs to the code.
response error_response(errc code, std::string_view message, object fields = {});
// The status of a code: docs/errors.md.
int http_status_of(errc code) noexcept;

} // namespace carillon
