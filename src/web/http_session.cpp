#include "web/http_session.hpp"

#include <algorithm>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "web/text.hpp"
#include "web/ws_session.hpp"
#include "wire/http/response.hpp"
#include "wire/http/target.hpp"
#include "wire/ws/handshake.hpp"
#include <carillon/net/waits.hpp>

namespace carillon::web {

namespace {

// What Django's SecurityMiddleware and clickjacking protection send, for every answer that does not say otherwise.
constexpr std::pair<std::string_view, std::string_view> safe_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "same-origin"},
    {"X-Frame-Options", "DENY"}};

// What this session alone may say about its answers.
constexpr std::string_view own_headers[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                            "Date"};

bool is_own_header(std::string_view name) noexcept {
    return std::ranges::any_of(
        own_headers, [name](std::string_view own) { return equal_ignoring_case(own, name); });
}

errc code_of_status(int status) noexcept {
    switch (status) {
    case 408: return errc::timed_out;
    case 413:
    case 431: return errc::too_large;
    default: return errc::bad_request;
    }
}

bool changes_state(std::string_view method) noexcept {
    return method != "GET" && method != "HEAD" && method != "OPTIONS" && method != "TRACE";
}

// The one place where what an application throws becomes an HTTP answer.
response answer_for(std::exception_ptr thrown, std::string_view method, std::string_view path,
                    logger& log) {
    try {
        std::rethrow_exception(thrown);
    } catch (const error& known) {
        if (known.code() != errc::internal && known.code() != errc::corrupt)
            return error_response(known.code(), known.what());
        log.error("a handler failed",
                  {{"method", method}, {"path", path}, {"error", known.what()}});
    } catch (const std::exception& unknown) {
        log.error("a handler failed",
                  {{"method", method}, {"path", path}, {"error", unknown.what()}});
    } catch (...) {
        log.error("a handler failed", {{"method", method}, {"path", path}});
    }
    return error_response(errc::internal,
                          "the server failed to handle this request; its log says why");
}

} // namespace

// --- bytes in ------------------------------------------------------------------------------------

void http_session::on_bytes(std::span<std::byte> received) {
    if (deaf_ || closing_)
        return;
    if (choked_ || (exchange_ && !exchange_->reading))
        return hold(received);
    bytes_view rest = received;
    consume(rest);
    if (!upgraded_ && !closing_ && !gone_ && !rest.empty())
        hold(rest);
}

void http_session::hold(bytes_view rest) {
    held_.insert(held_.end(), rest.begin(), rest.end());
    link().pause_reading(true);
}

void http_session::consume(bytes_view& rest) {
    if (!parser_)
        parser_ = std::make_unique<wire::http::request_parser>(wire::http::request_parser::limits{
            site_.limit.head_bytes_max, site_.limit.headers_max, 0});
    while (!closing_ && !upgraded_ && (!exchange_ || exchange_->reading)) {
        if (!exchange_ && choked())
            return;
        const auto got = parser_->next(rest);
        switch (got.kind) {
        case wire::http::request_parser::what::need_more:
            if (!exchange_ && !head_begun_ && !parser_->idle()) {
                head_begun_ = true;
                started_ = link().home().second();
                link().remind_in(static_cast<std::uint32_t>(site_.limit.handshake_timeout.count()));
            }
            return;
        case wire::http::request_parser::what::head:
            if (!begin_exchange(rest))
                return;
            break;
        case wire::http::request_parser::what::body: take_body(got.body); break;
        case wire::http::request_parser::what::end: end_of_request(); break;
        case wire::http::request_parser::what::refused: return refuse(got.status, got.why);
        }
    }
}

// Whether answers wait for a peer that does not take them: then its next requests wait too, or they would cost memory
// without end.
bool http_session::choked() {
    if (link().pending_bytes() <= site_.limit.outbox_bytes_soft)
        return false;
    link().flush();
    // on_drained() will come
    choked_ = !gone_ && link().pending_bytes() > site_.limit.outbox_bytes_soft;
    return choked_ || gone_;
}

// False when this session is not the one that goes on reading.
bool http_session::begin_exchange(bytes_view& rest) {
    if (wire::ws::wants_websocket(parser_->head())) {
        upgrade(parser_->take_head(), rest);
        return false;
    }
    auto head = parser_->take_head();
    exchange_ = std::make_unique<exchange>();
    auto& now_on = *exchange_;
    head_begun_ = false;
    now_on.asked.method = head.method; // an answer to HEAD has no body, whatever is wrong
    now_on.keep_alive = head.keep_alive;
    now_on.has_body = head.chunked || head.content_length.value_or(0) > 0;
    const bool expects_continue = head.expects_continue;
    const auto announced = head.content_length.value_or(0);
    parser_->limit_body(site_.limit.body_bytes_max);
    const char* why = "";
    auto described =
        site_.describe(std::move(head), link().encrypted(), peer_.address(), peer_.port(), why);
    if (!described) {
        decide(error_response(errc::bad_request, why));
        return true;
    }
    static_cast<scope&>(now_on.asked) = *std::move(described);
    auto match = site_.match(now_on.asked.method, now_on.asked.path);
    if (!match.found && !match.allowed.empty()) {
        decide(error_response(errc::method_not_allowed, "this address does not know that method")
                   .with("Allow", match.allowed));
        return true;
    }
    if (!match.found && site_.match("", now_on.asked.path).found) {
        auto answer = error_response(errc::bad_request, "this address speaks WebSocket");
        answer.status = 426;
        decide(answer.with("Upgrade", "websocket"));
        return true;
    }
    if (!match.found) {
        decide(error_response(errc::not_found, "there is nothing at this address"));
        return true;
    }
    now_on.matched = match.found;
    now_on.asked.url_kwargs = std::move(match.kwargs);
    if ((changes_state(now_on.asked.method) || match.found->changes_state_) &&
        site::asked_by_other_site(now_on.asked)) {
        decide(error_response(errc::forbidden, "a page of another site may not ask for this"));
        return true;
    }
    const auto body_bytes_max =
        match.found->body_bytes_max_ ? match.found->body_bytes_max_ : site_.limit.body_bytes_max;
    if (announced > body_bytes_max) {
        decide(error_response(errc::too_large, "the body is larger than this address takes"));
        return true;
    }
    parser_->limit_body(body_bytes_max);
    if (now_on.has_body && expects_continue)
        link().push(shared_frame::copy_of("HTTP/1.1 100 Continue\r\n\r\n"));
    if (match.found->streams_) {
        now_on.stream =
            std::make_unique<streamed_body>(announced, [this] { link().pause_reading(false); });
        now_on.asked.stream = now_on.stream.get();
        if (now_on.has_body)
            start_handler();
    }
    return true;
}

// An answer that needs no handler. One that leaves a body unread closes the connection: reading on would let anybody
// send without end.
void http_session::decide(response answer) {
    exchange_->answer = std::move(answer);
    exchange_->decided = true;
    if (!exchange_->has_body)
        return; // end_of_request() comes next
    write_head_and_body(exchange_->answer, false);
    finish_exchange();
}

void http_session::upgrade(wire::http::request_head&& head, bytes_view rest) {
    auto offered = wire::ws::check_handshake(head);
    const auto refused = [&](response answer) {
        exchange_ = std::make_unique<exchange>();
        exchange_->keep_alive = false;
        exchange_->reading = false;
        write_head_and_body(answer, false);
        finish_exchange();
    };
    if (offered.refused_status != 0) {
        auto answer = error_response(errc::bad_request, offered.why);
        answer.status = offered.refused_status;
        if (answer.status == 426)
            answer.with("Sec-WebSocket-Version", "13");
        return refused(std::move(answer));
    }
    const char* why = "";
    auto described =
        site_.describe(std::move(head), link().encrypted(), peer_.address(), peer_.port(), why);
    if (!described)
        return refused(error_response(errc::bad_request, why));
    auto match = site_.match("", described->path);
    if (!match.found)
        return refused(error_response(errc::not_found, "there is no WebSocket at this address"));
    if (!match.found->any_origin_ && !site_.origin_allowed(*described))
        return refused(error_response(errc::forbidden,
                                      "the Origin header must name an allowed host of this site"));
    described->url_kwargs = std::move(match.kwargs);
    described->subprotocols = offered.subprotocols;
    std::unique_ptr<ws_session> next;
    try {
        next = std::make_unique<ws_session>(site_, *match.found, *std::move(described),
                                            std::move(offered));
    } catch (...) { // the consumer's own constructor
        return refused(
            answer_for(std::current_exception(), "GET", match.found->pattern_.text, site_.log));
    }
    upgraded_ = true;
    auto& socket = *next;
    bytes early(rest.begin(), rest.end());
    link().become(std::move(next));
    socket.begin(early);
}

void http_session::take_body(bytes_view piece) {
    if (!exchange_->stream) {
        exchange_->asked.body.append(as_text(piece));
        return;
    }
    exchange_->stream->push(piece); // may run the handler to its end
    if (exchange_ && exchange_->stream->buffered_bytes() > site_.limit.body_buffer_bytes_max)
        link().pause_reading(true);
}

void http_session::end_of_request() {
    exchange_->reading = false;
    if (exchange_->decided) {
        write_head_and_body(exchange_->answer, false);
        return finish_exchange();
    }
    if (exchange_->stream)
        exchange_->stream->finish();
    if (!exchange_->stream || !exchange_->has_body) // else the handler runs already
        start_handler();
}

void http_session::refuse(int status, const char* why) {
    site_.counters.refused_requests.add();
    deaf_ = true;
    if (exchange_ && exchange_->stream) {
        exchange_->stream->fail({code_of_status(status), why});
        return;
    }
    exchange_ = std::make_unique<exchange>();
    exchange_->keep_alive = false;
    auto answer = error_response(code_of_status(status), why);
    answer.status = status;
    write_head_and_body(answer, false);
    finish_exchange();
}

// --- handlers and answers ------------------------------------------------------------------------

void http_session::start_handler() {
    busy_ = true;
    finished_ = false;
    starting_ = true;
    running_ = serve();
    running_.start(*this);
    starting_ = false;
    if (finished_)
        handler_ended();
}

task<> http_session::serve() {
    auto& present = *exchange_;
    std::exception_ptr thrown;
    try {
        auto handling = present.matched->handler_(present.asked);
        present.answer = co_await std::move(handling);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (thrown)
        present.answer = answer_for(thrown, present.asked.method, present.asked.path, site_.log);
    if (gone_)
        co_return;
    write_head_and_body(present.answer, true);
    if (present.answer.file_path.empty() || present.asked.method == "HEAD")
        co_return;
    try {
        co_await send_file(present.answer);
    } catch (const std::exception& wrong) {
        site_.log.error("a file could not be sent whole",
                        {{"path", present.answer.file_path}, {"error", wrong.what()}});
        link().end(); // the announced length cannot be kept: only a cut tells the client
    }
}

void http_session::completed(std::exception_ptr) noexcept { // serve() lets nothing out
    finished_ = true;
    if (!starting_)
        link().home().events().defer([this] { resume_input(); });
}

void http_session::handler_ended() noexcept {
    running_ = {};
    busy_ = false;
    if (gone_)
        return link().settle();
    finish_exchange();
}

// A handler that had to wait has ended: go on with what came meanwhile.
void http_session::resume_input() noexcept {
    handler_ended();
    if (!gone_ && !closing_)
        go_on_with_held();
}

void http_session::go_on_with_held() {
    auto held = std::exchange(held_, {});
    link().pause_reading(false);
    bytes_view rest = held;
    consume(rest);
    if (!upgraded_ && !closing_ && !gone_ && !rest.empty())
        hold(rest);
}

bool http_session::must_close() const noexcept {
    return stopping_ || input_ended_ || !exchange_->keep_alive ||
           (exchange_->reading && exchange_->has_body);
}

void http_session::write_head_and_body(const response& answer, bool with_file) {
    auto& present = *exchange_;
    present.answered = true;
    site_.tools_of(link().home()).requests.add();
    if (answer.status >= 500)
        site_.counters.request_errors.add();
    wire::http::response_head head;
    head.status = answer.status;
    // what is said here is kept, whatever arrives meanwhile
    head.keep_alive = present.keep_alive = !must_close();
    head.headers.reserve(answer.headers.size() + std::size(safe_headers));
    for (const auto& [name, content] : answer.headers)
        if (!is_own_header(name))
            head.headers.push_back({name, content});
    for (const auto& [name, content] : safe_headers)
        if (!answer.has(name))
            head.headers.push_back({std::string(name), std::string(content)});
    const bool bodyless = answer.status == 204 || answer.status == 304;
    const auto body = answer.shared_body ? answer.shared_body.view() : as_bytes(answer.body);
    const bool from_file = with_file && !answer.file_path.empty();
    if (!bodyless)
        head.content_length = from_file ? answer.file_bytes : body.size();
    const auto text = wire::http::write_head(head, site_.tools_of(link().home()).date());
    const bool send_body = !bodyless && !from_file && present.asked.method != "HEAD";
    constexpr std::size_t worth_sharing = 4096; // below it, one frame with a copy beats two
    if (send_body && answer.shared_body && body.size() > worth_sharing) {
        link().push(shared_frame::copy_of(text));
        link().push(answer.shared_body);
    } else {
        link().push(shared_frame::copy_of(as_bytes(text), send_body ? body : bytes_view{}));
    }
    if (site_.log.enabled(log_level::debug)) // else not even the fields are made
        site_.log.debug("request", {{"method", present.asked.method},
                                    {"path", present.asked.path},
                                    {"status", answer.status}});
}

namespace {

// The file stays open between its parts: another one of the same name must not be mixed in.
bytes read_part(net::unique_fd& fd, const std::string& path, std::uint64_t offset,
                std::size_t size) {
    if (!fd)
        fd = net::unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    bytes part(size);
    const auto got = fd ? ::pread(fd.get(), part.data(), size, static_cast<off_t>(offset)) : -1;
    if (got <= 0)
        throw error(errc::internal, "a file vanished or shrank while it was sent");
    part.resize(static_cast<std::size_t>(got));
    return part;
}

} // namespace

// In pieces, no faster than the peer takes them: a large file costs one piece of memory.
task<> http_session::send_file(const response& answer) {
    constexpr std::uint64_t piece_bytes = 256 * 1024;
    struct drained {
        http_session& self;
        bool await_ready() const noexcept {
            return self.gone_ || self.link().pending_bytes() < piece_bytes;
        }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            self.draining_ = h;
            self.link().report_drained(); // the kernel may take all at once
        }
        void await_resume() const noexcept {}
    };
    net::unique_fd fd;
    auto offset = answer.file_offset;
    const auto end = answer.file_offset + answer.file_bytes;
    while (offset < end && !gone_) {
        const auto size = static_cast<std::size_t>(std::min(piece_bytes, end - offset));
        auto reading = blocking(
            [&fd, &answer, offset, size] { return read_part(fd, answer.file_path, offset, size); });
        const auto part = co_await reading;
        if (gone_)
            co_return;
        offset += part.size();
        link().push(shared_frame::copy_of(part));
        drained wait{*this};
        co_await wait;
    }
}

void http_session::on_drained() {
    idle_since_ = link().home().second();
    if (auto waiting = std::exchange(draining_, nullptr))
        waiting.resume();
    if (std::exchange(choked_, false) && !gone_ && !closing_)
        go_on_with_held();
}

void http_session::finish_exchange() {
    const bool close = must_close();
    const bool unread = exchange_->reading && exchange_->has_body;
    exchange_.reset();
    served_any_ = true;
    idle_since_ = link().home().second();
    if (close) {
        closing_ = true;
        link().close_after_flush(unread || !input_ended_);
        return;
    }
    parser_->restart();
    link().remind_in(static_cast<std::uint32_t>(site_.limit.keep_alive_timeout.count()));
}

// --- the rest of life ----------------------------------------------------------------------------

void http_session::on_end_of_input() {
    input_ended_ = true;
    if (exchange_ && !exchange_->reading) { // it may still read our answer
        link().pause_reading(true);
        return;
    }
    if (exchange_ || link().pending_bytes() == 0)
        return link().end();
    closing_ = true;
    link().close_after_flush(false); // it may still read the answers that wait for it
}

std::uint32_t http_session::on_reminder() {
    const auto seconds = [](std::chrono::seconds time) {
        return static_cast<std::uint32_t>(time.count());
    };
    const auto second = link().home().second();
    const auto heard = link().last_received();
    if (exchange_ && exchange_->reading) {
        const auto patience = seconds(site_.limit.body_timeout);
        const bool handler_is_slow = exchange_->stream && exchange_->stream->buffered_bytes() > 0;
        if (handler_is_slow || deaf_)
            return patience;
        if (second - heard < patience)
            return patience - (second - heard);
        refuse(408, "the body did not arrive in time");
        return patience;
    }
    if (exchange_)
        return seconds(site_.limit.keep_alive_timeout);
    if (parser_ && !parser_->idle()) {
        const auto patience = seconds(site_.limit.handshake_timeout);
        if (second - started_ < patience)
            return patience - (second - started_);
        refuse(408, "the request did not arrive in time");
        return patience;
    }
    parser_.reset(); // a silent connection owns no parser
    const auto patience =
        seconds(served_any_ ? site_.limit.keep_alive_timeout : site_.limit.handshake_timeout);
    if (link().pending_bytes() > 0)
        return patience; // a slow reader is send_timeout's business
    const auto silent = second - std::max(heard, idle_since_);
    if (silent < patience)
        return patience - silent;
    link().end();
    return patience;
}

void http_session::on_stop() {
    stopping_ = true;
    if (exchange_)
        return;
    closing_ = true;
    link().close_after_flush(false);
}

void http_session::on_ended() noexcept {
    gone_ = true;
    if (exchange_ && exchange_->stream)
        exchange_->stream->fail({errc::closed, "the client went away before the body was whole"});
    on_drained();
}

} // namespace carillon::web
