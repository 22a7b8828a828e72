#include <carillon/web/response.hpp>

#include "web/text.hpp"
#include <carillon/wire/json.hpp>

namespace carillon {

response& response::with(std::string_view name, std::string_view content) {
    headers.emplace_back(name, content);
    return *this;
}

bool response::has(std::string_view name) const noexcept {
    for (const auto& [known, content] : headers)
        if (web::equal_ignoring_case(known, name))
            return true;
    return false;
}

namespace {

response with_type(std::string_view type, std::string body, int status) {
    response made;
    made.status = status;
    made.body = std::move(body);
    made.with("Content-Type", type);
    return made;
}

} // namespace

response json_response(const value& content, int status) {
    return with_type("application/json", to_json(content), status);
}
response html_response(std::string html, int status) {
    return with_type("text/html; charset=utf-8", std::move(html), status);
}
response text_response(std::string text, int status) {
    return with_type("text/plain; charset=utf-8", std::move(text), status);
}

response redirect_to(std::string_view location, int status) {
    response made;
    made.status = status;
    made.with("Location", location);
    return made;
}

response error_response(errc code, std::string_view message, object fields) {
    object inside{{"code", name_of(code)}, {"message", message}};
    if (!fields.empty())
        inside.set("fields", std::move(fields));
    return json_response(object{{"error", std::move(inside)}}, http_status_of(code));
}

int http_status_of(errc code) noexcept {
    switch (code) {
    case errc::bad_request: return 400;
    case errc::unauthorized: return 401;
    case errc::forbidden: return 403;
    case errc::not_found: return 404;
    case errc::method_not_allowed: return 405;
    case errc::timed_out: return 408;
    case errc::conflict: return 409;
    case errc::too_large: return 413;
    case errc::unsupported_media: return 415;
    case errc::invalid: return 422;
    case errc::too_many_requests: return 429;
    case errc::channel_full:
    case errc::unavailable: return 503;
    case errc::cancelled:
    case errc::closed: return 499;
    case errc::corrupt:
    case errc::internal: return 500;
    }
    return 500;
}

} // namespace carillon
