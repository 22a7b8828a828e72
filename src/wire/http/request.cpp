#include "wire/http/request.hpp"

#include <algorithm>
#include <utility>

#include <boost/beast/http/basic_parser.hpp>

#include "wire/http/chunked.hpp"
#include "wire/http/lines.hpp"
#include "wire/http/rules.hpp"
#include "wire/http/token.hpp"
#include <carillon/base/assert.hpp>

namespace carillon::wire::http {

namespace {

namespace beast = boost::beast;
using error_code = beast::error_code;

// Beast reads the request line and the fields; bodies never reach it.
class head_reader final : public beast::http::basic_parser<true> {
public:
    explicit head_reader(request_head& into) : head_(into) {
        header_limit(UINT32_MAX);
        body_limit(boost::none);
    }

private:
    void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                         int version, error_code&) override {
        constexpr std::size_t usual_headers = 16; // a browser sends about a dozen
        head_.headers.reserve(usual_headers);
        head_.method = std::string(method);
        head_.target = std::string(target);
        head_.version_minor = version - 10;
    }
    void on_field_impl(beast::http::field, beast::string_view name, beast::string_view field_value,
                       error_code&) override {
        head_.headers.push_back({std::string(name), std::string(field_value)});
    }
    void on_header_impl(error_code&) override {}
    void on_response_impl(int, beast::string_view, int, error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(beast::string_view, error_code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, error_code&) override {
        return 0;
    }
    void on_finish_impl(error_code&) override {}

    request_head& head_;
};

refusal read_head(bytes_view text, request_head& head) {
    head_reader reader(head);
    error_code problem;
    const auto taken = reader.put(boost::asio::const_buffer(text.data(), text.size()), problem);
    if (problem || taken != text.size() || !reader.is_header_done())
        return {400, "a malformed request head"};
    head.keep_alive = reader.keep_alive() && !list_has(head.joined("Connection"), "close");
    return apply_rules(head);
}

} // namespace

struct request_parser::impl {
    enum class phase : std::uint8_t { head, body, ended, refused };

    explicit impl(limits l)
        : bounds(l), body_bytes_max(l.body_bytes_max),
          scanner(line_scanner::section::head, l.head_bytes_max, l.headers_max),
          chunks(l.head_bytes_max, l.headers_max) {}

    limits bounds;
    std::uint64_t body_bytes_max;
    phase now = phase::head;
    bytes gathered; // a head that is cut
    line_scanner scanner;
    request_head head;
    std::uint64_t body_left = 0;
    chunk_reader chunks;

    event refuse(const refusal& why) {
        now = phase::refused;
        return {what::refused, {}, why.status, why.why};
    }

    event next_of_head(bytes_view& input) {
        std::size_t taken = 0;
        const bool was_untouched = scanner.untouched();
        const auto found = scanner.scan(input, taken);
        auto piece = input.first(taken);
        input = input.subspan(taken);
        if (found == line_scanner::state::refused)
            return refuse(scanner.problem());
        if (was_untouched) // an empty line before the request is not Beast's business
            while (!piece.empty() &&
                   (piece.front() == std::byte{'\r'} || piece.front() == std::byte{'\n'}))
                piece = piece.subspan(1);
        if (found == line_scanner::state::more || !gathered.empty())
            gathered.insert(gathered.end(), piece.begin(), piece.end());
        if (found == line_scanner::state::more)
            return {what::need_more, {}};
        const auto whole = std::exchange(gathered, {});
        if (const auto why = read_head(whole.empty() ? piece : bytes_view(whole), head))
            return refuse(why);
        body_left = head.content_length.value_or(0);
        now = phase::body;
        return {what::head, {}};
    }

    event end() {
        now = phase::ended;
        return {what::end, {}};
    }

    event next_of_body(bytes_view& input) {
        if (head.chunked)
            return next_of_chunks(input);
        if (body_bytes_max && head.content_length.value_or(0) > body_bytes_max)
            return refuse({413, "the body is too large"});
        if (body_left == 0)
            return end();
        if (input.empty())
            return {what::need_more, {}};
        const auto piece =
            input.first(static_cast<std::size_t>(std::min<std::uint64_t>(body_left, input.size())));
        input = input.subspan(piece.size());
        body_left -= piece.size();
        return {what::body, piece};
    }

    event next_of_chunks(bytes_view& input) {
        bytes_view data;
        switch (chunks.next(input, body_bytes_max, data)) {
        case chunk_reader::what::need_more: return {what::need_more, {}};
        case chunk_reader::what::data: return {what::body, data};
        case chunk_reader::what::end: return end();
        case chunk_reader::what::refused: break;
        }
        return refuse(chunks.problem());
    }
};

request_parser::request_parser(limits l) : impl_(std::make_unique<impl>(l)) {}
request_parser::~request_parser() = default;

request_parser::event request_parser::next(bytes_view& input) {
    CARILLON_ASSERT(impl_->now != impl::phase::ended, "restart() comes before the next request");
    if (impl_->now == impl::phase::refused) {
        input = {};
        return {what::need_more, {}};
    }
    return impl_->now == impl::phase::head ? impl_->next_of_head(input)
                                           : impl_->next_of_body(input);
}

const request_head& request_parser::head() const noexcept { return impl_->head; }

request_head request_parser::take_head() noexcept {
    // What frames the body stays behind.
    request_head taken = std::move(impl_->head);
    impl_->head.chunked = taken.chunked;
    impl_->head.content_length = taken.content_length;
    return taken;
}

void request_parser::limit_body(std::uint64_t bytes_max) noexcept {
    impl_->body_bytes_max = bytes_max;
}

bool request_parser::idle() const noexcept {
    return impl_->now == impl::phase::head && impl_->scanner.untouched();
}

void request_parser::restart() { *impl_ = impl(impl_->bounds); }

} // namespace carillon::wire::http
