// One HTTP request to a test site over a connection of its own, which ends with the answer.
#include <charconv>

#include "testing/http_text.hpp"
#include "testing/line.hpp"
#include <carillon/testing/communicator.hpp>
#include <carillon/wire/json.hpp>

namespace carillon::testing {

namespace {

// Whether all of the answer is there: as much as its head says, or all that came before the end.
bool is_whole(const answer_head& head, std::string_view method, std::size_t body_bytes,
              bool ended) {
    if (method == "HEAD" || head.status == 204 || head.status == 304 || head.status == 101)
        return true;
    const auto announced = header_of(head.headers, "Content-Length");
    std::size_t length = 0;
    std::from_chars(announced.data(), announced.data() + announced.size(), length);
    return announced.empty() ? ended : body_bytes >= length;
}

http_answer receive_answer(line& from, std::string_view method, steady_time deadline) {
    std::optional<answer_head> head;
    for (;;) {
        const auto got = from.receive(deadline);
        if (!head)
            head = read_answer_head(from.received());
        const bool ended = got == line::outcome::end;
        if (head && is_whole(*head, method, from.received().size() - head->bytes, ended))
            return {head->status, std::move(head->headers), from.received().substr(head->bytes)};
        if (ended)
            throw error(errc::closed,
                        "the server ended the connection before its answer was whole");
        if (got == line::outcome::nothing)
            throw error(errc::timed_out, "the server has not answered in time");
    }
}

} // namespace

std::string_view http_answer::header(std::string_view name) const noexcept {
    return header_of(headers, name);
}

value http_answer::json() const {
    auto parsed = parse_json(body);
    if (!parsed)
        throw error(errc::invalid, "the answer's body is no JSON: " + parsed.error().message);
    return *std::move(parsed);
}

http_answer request_once(test_site& site, std::string_view method, std::string_view path,
                         std::string_view body, const name_value_list& headers,
                         std::chrono::milliseconds timeout) {
    const auto deadline = now() + timeout;
    name_value_list defaults{{"Host", site.running_->host()}, {"Connection", "close"}};
    if (!body.empty())
        defaults.emplace_back("Content-Length", std::to_string(body.size()));
    const auto head = request_head(method, path, headers, defaults);
    line connection(*site.running_);
    try {
        connection.send(head, deadline);
        connection.send(body, deadline);
    } catch (const error& refused) {
        if (refused.code() != errc::closed) // else it has answered before the body's end
            throw;
    }
    return receive_answer(connection, method, deadline);
}

} // namespace carillon::testing
