// request: an HTTP request as a handler sees it.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string>
#include <string_view>

#include <carillon/base/bytes.hpp>
#include <carillon/base/task.hpp>
#include <carillon/base/value.hpp>
#include <carillon/web/scope.hpp>

namespace carillon {

// A body that arrives while the handler runs, for routes declared with stream_body(). The connection is read no faster
// than the handler takes.
class body_stream {
public:
    virtual ~body_stream() = default;
    // Content-Length, or 0 where the client did not say.
    virtual std::uint64_t announced_bytes() const noexcept = 0;
    // The next piece; empty at the end. Throws carillon::error: closed when the client went away, too_large above the
    // route's limit, timed_out, bad_request.
    virtual task<bytes> next() = 0;
};

// Belongs to the framework; alive until the handler's task has ended.
class request final : public scope {
public:
    // The whole body, for routes without stream_body().
    std::string body;
    // Null for routes without stream_body().
    body_stream* stream = nullptr;

    // The media type of Content-Type in lower case, without parameters.
    std::string content_type() const;
    // The body as JSON. Throws unsupported_media when Content-Type says otherwise, bad_request when it is malformed.
    value json() const;
    // Whether the client would rather have HTML than JSON (Accept, as a browser sends it).
    bool wants_html() const;
};

} // namespace carillon
