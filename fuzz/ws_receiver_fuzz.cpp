// Any bytes as a WebSocket stream: whole and in pieces they must come to the same events, with the promised payloads.
#include <string>

#include "input.hpp"
#include "wire/ws/close_code.hpp"
#include "wire/ws/receiver.hpp"

namespace {

using namespace carillon;
using wire::ws::receiver;

struct seen {
    receiver::what kind;
    std::uint16_t code;
    std::string payload;
    friend bool operator==(const seen&, const seen&) = default;
};

void check(const seen& e, std::uint32_t bytes_max) {
    if (e.kind == receiver::what::text)
        fuzz::must(wire::is_utf8(as_bytes(e.payload)), "a text is UTF-8");
    if (e.kind == receiver::what::text || e.kind == receiver::what::binary)
        fuzz::must(e.payload.size() <= bytes_max, "a message keeps the limit");
    if (e.kind == receiver::what::close)
        fuzz::must(e.code == 1005 || wire::ws::may_be_received(e.code),
                   "a close code is one that may be sent");
    if (e.kind == receiver::what::refused)
        fuzz::must(e.code == 1002 || e.code == 1007 || e.code == 1009, "a refusal has its code");
}

// False when the connection ended.
bool feed(receiver& r, wire::ws::inflater& shared, std::string_view piece, std::uint32_t bytes_max,
          std::vector<seen>& out) {
    bytes memory(as_bytes(piece).begin(), as_bytes(piece).end());
    std::span<std::byte> input(memory);
    for (;;) {
        const auto e = r.next(input, shared);
        if (e.kind == receiver::what::need_more) {
            fuzz::must(input.empty(), "need_more takes all input");
            return true;
        }
        out.push_back({e.kind, e.code, std::string(as_text(e.payload))});
        check(out.back(), bytes_max);
        if (e.kind == receiver::what::close || e.kind == receiver::what::refused)
            return false;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2)
        return 0;
    const bool compressed = data[0] & 1;
    const std::uint32_t bytes_max = data[0] & 2 ? 100 : 70000;
    const std::string_view stream(reinterpret_cast<const char*>(data + 2), size - 2);

    static wire::ws::inflater shared;
    std::vector<seen> whole;
    receiver at_once(bytes_max, compressed);
    feed(at_once, shared, stream, bytes_max, whole);

    std::vector<seen> cut;
    receiver in_parts(bytes_max, compressed);
    fuzz::in_pieces(stream, data[1], [&](std::string_view piece) {
        return feed(in_parts, shared, piece, bytes_max, cut);
    });
    fuzz::must(whole == cut, "every cut gives the same events");
    return 0;
}
