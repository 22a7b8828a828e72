// routes: what a site answers, as an ordinary value.
//
//     cr::routes urls(shop& site) {
//         return {
//             cr::get("/", [&](cr::request& r) { return site.home(r); }),
//             cr::post("/orders/<int:order_id>/pay/", [&](cr::request& r) { return site.pay(r); }),
//             cr::websocket<order_status>("/ws/orders/<int:order_id>/", std::ref(site)),
//         };
//     }
//
// Patterns are Django's: <int:x> <str:x> <slug:x> <uuid:x> <path:x>, and re(…) for a regular expression with named
// groups. The whole path must match; the first route that matches wins.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <carillon/base/task.hpp>
#include <carillon/web/consumer.hpp>
#include <carillon/web/request.hpp>
#include <carillon/web/response.hpp>

namespace carillon {

using http_handler = std::function<task<response>(request&)>;

// A path pattern; implicit from Django's path() form.
struct url_pattern {
    std::string text;
    bool is_regex = false;
    url_pattern(const char* django_path) : text(django_path) {}
    url_pattern(std::string django_path) : text(std::move(django_path)) {}
    url_pattern(std::string expression, bool regex)
        : text(std::move(expression)), is_regex(regex) {}
};
// An ECMAScript expression over the path without its leading slash, anchored at both ends; groups are named as in
// Python, (?P<name>…).
inline url_pattern re(std::string expression) { return {std::move(expression), true}; }

// What happens to a client that reads slower than it is sent to, above limits::outbox_bytes_max.
enum class slow_policy : std::uint8_t {
    close,       // 4408: it comes back and asks for the present state
    drop_newest, // what does not fit is dropped and counted
    conflate     // for state such as positions: see route::conflate
};

// What a WebSocket route knows of its consumer class.
struct consumer_class {
    std::function<std::unique_ptr<consumer>()> make;
    event_handlers handlers;
};

// One line of the table. The options may be chained.
class route {
public:
    // Of HTTP routes: the largest body in bytes; above it 413.
    route&& max_body(std::uint64_t body_bytes) && {
        return body_bytes_max_ = body_bytes, std::move(*this);
    }
    // Of HTTP routes: the handler starts with the head and reads the body itself.
    route&& stream_body() && { return streams_ = true, std::move(*this); }
    // Of GET routes that change something: refused when a browser says that another site asks.
    route&& changes_state() && { return changes_state_ = true, std::move(*this); }
    // Of WebSocket routes: the largest message in bytes; above it 1009.
    route&& max_message(std::uint32_t message_bytes) && {
        return message_bytes_max_ = message_bytes, std::move(*this);
    }
    // Of WebSocket routes: no check of the Origin header. Only for what is public and changes nothing.
    route&& any_origin() && { return any_origin_ = true, std::move(*this); }
    route&& when_slow(slow_policy policy) && { return slow_ = policy, std::move(*this); }
    // Of WebSocket routes whose events replace each other: a client above limits::outbox_bytes_soft gets, when it has
    // caught up, only the newest event of each type and value of this member. What was replaced is counted. Beyond
    // limits::mailbox_events_max different ones, and for everything but events, outbox_bytes_max holds as usual.
    route&& conflate(std::string member = {}) && {
        return slow_ = slow_policy::conflate, conflated_by_ = std::move(member), std::move(*this);
    }

    // For the framework.
    std::string method_; // empty for WebSocket routes
    url_pattern pattern_;
    http_handler handler_;
    std::shared_ptr<const consumer_class> consumer_;
    std::uint64_t body_bytes_max_ = 0;    // 0: limits::body_bytes_max
    std::uint32_t message_bytes_max_ = 0; // 0: limits::message_bytes_max
    bool streams_ = false;
    bool changes_state_ = false;
    bool any_origin_ = false;
    slow_policy slow_ = slow_policy::close;
    std::string conflated_by_;

    route(std::string method, url_pattern pattern)
        : method_(std::move(method)), pattern_(std::move(pattern)) {}
};

using routes = std::vector<route>;

// A handler that blocks: runs on a thread of the blocking pool.
template <class F>
struct on_thread_handler {
    F call;
};
template <class F>
on_thread_handler<F> on_thread(F call) {
    return {std::move(call)};
}

namespace detail {
http_handler plain_handler(std::function<response(request&)> call);
http_handler thread_handler(std::function<response(request&)> call);

template <class F>
http_handler as_handler(F call) {
    if constexpr (std::is_same_v<std::invoke_result_t<F&, request&>, task<response>>)
        return http_handler(std::move(call));
    else
        return plain_handler(std::move(call));
}
template <class F>
http_handler as_handler(on_thread_handler<F> marked) {
    return thread_handler(std::move(marked.call));
}
} // namespace detail

// A route for one method. The handler is a coroutine `task<response>(request&)`, a plain function `response(request&)`
// that never waits, or on_thread(…) of one that may block. GET routes answer HEAD too.
template <class F>
route http(std::string method, url_pattern pattern, F handler) {
    route made(std::move(method), std::move(pattern));
    made.handler_ = detail::as_handler(std::move(handler));
    return made;
}
template <class F>
route get(url_pattern pattern, F handler) {
    return http("GET", std::move(pattern), std::move(handler));
}
template <class F>
route post(url_pattern pattern, F handler) {
    return http("POST", std::move(pattern), std::move(handler));
}
template <class F>
route put(url_pattern pattern, F handler) {
    return http("PUT", std::move(pattern), std::move(handler));
}
template <class F>
route patch(url_pattern pattern, F handler) {
    return http("PATCH", std::move(pattern), std::move(handler));
}
template <class F>
route del(url_pattern pattern, F handler) {
    return http("DELETE", std::move(pattern), std::move(handler));
}

// A WebSocket route: each connection gets its own `C`, made from copies of `arguments` (std::ref for what is shared).
template <std::derived_from<consumer> C, class... Arguments>
route websocket(url_pattern pattern, Arguments... arguments) {
    route made("", std::move(pattern));
    consumer_class known;
    known.make = [arguments...]() -> std::unique_ptr<consumer> {
        return std::make_unique<C>(arguments...);
    };
    if constexpr (requires {
                      { C::events() } -> std::convertible_to<event_handlers>;
                  })
        known.handlers = C::events();
    made.consumer_ = std::make_shared<const consumer_class>(std::move(known));
    return made;
}

// The files of a folder under a path that ends in '/': ETag, Last-Modified, ranges, gzip for text; nothing outside the
// folder and no dot files.
route files(std::string path_prefix, std::string folder);

} // namespace carillon
