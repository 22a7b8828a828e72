// Any bytes as a connection's requests: whole and in pieces they must come to the same requests and the same refusal.
#include <string>

#include "input.hpp"
#include "wire/http/request.hpp"

namespace {

using namespace carillon;
using wire::http::request_parser;
using what = request_parser::what;

struct outcome {
    std::string requests; // heads and bodies, written one after the other
    int refused_status = 0;
    bool idle = false;
    friend bool operator==(const outcome&, const outcome&) = default;
};

void note_head(const wire::http::request_head& head, std::string& out) {
    fuzz::must(head.target == "*" || head.target.starts_with('/'), "a target is in origin form");
    fuzz::must(!(head.chunked && head.content_length), "a body has one framing");
    fuzz::must(head.version_minor == 0 || head.has("Host"), "HTTP/1.1 has a Host");
    out += head.method + ' ' + head.target + ' ' + std::to_string(head.version_minor) +
           (head.keep_alive ? " kept" : "") + (head.expects_continue ? " expects" : "") + '\n';
    for (const auto& h : head.headers) {
        fuzz::must((h.name + h.value).find_first_of(std::string_view("\r\n\0", 3)) ==
                       std::string::npos,
                   "no header breaks a line");
        out += h.name + ':' + h.value + '\n';
    }
}

// False when the connection ended.
bool feed(request_parser& parser, std::string_view piece, outcome& out) {
    const bytes memory(as_bytes(piece).begin(), as_bytes(piece).end());
    bytes_view input(memory);
    for (;;) {
        const auto e = parser.next(input);
        switch (e.kind) {
        case what::need_more: fuzz::must(input.empty(), "need_more takes all input"); return true;
        case what::head: note_head(parser.head(), out.requests); break;
        case what::body: out.requests += as_text(e.body); break;
        case what::end:
            out.requests += "\nend\n";
            parser.restart();
            break;
        case what::refused:
            fuzz::must(e.status >= 400 && e.status <= 505, "a refusal has its status");
            out.refused_status = e.status;
            return false;
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2)
        return 0;
    const request_parser::limits limits{data[0] & 1 ? 100u : 4000u, data[0] & 2 ? 3u : 50u,
                                        data[0] & 4 ? 20u : 0u};
    const std::string_view stream(reinterpret_cast<const char*>(data + 2), size - 2);

    outcome whole;
    request_parser at_once(limits);
    if (feed(at_once, stream, whole))
        whole.idle = at_once.idle();

    outcome cut;
    request_parser in_parts(limits);
    bool open = true;
    fuzz::in_pieces(stream, data[1],
                    [&](std::string_view piece) { return open = feed(in_parts, piece, cut); });
    if (open)
        cut.idle = in_parts.idle();
    fuzz::must(whole == cut, "every cut gives the same requests");
    return 0;
}
