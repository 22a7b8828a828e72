#include "wire/ws/receiver.hpp"

#include <ostream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "wire/ws/sender.hpp"
#include "wire/ws/test_frames.hpp"

namespace carillon::wire::ws {

using what = receiver::what;

namespace {

using namespace std::string_literals;
using namespace test;

struct seen {
    what kind;
    std::string payload = {};
    int code = 0;
    friend bool operator==(const seen&, const seen&) = default;
    friend std::ostream& operator<<(std::ostream& out, const seen& s) {
        return out << static_cast<int>(s.kind) << ":" << s.code << ":" << s.payload.substr(0, 40)
                   << "(" << s.payload.size() << ")";
    }
};
using events = std::vector<seen>;

seen text_of(std::string s) { return {what::text, std::move(s)}; }
seen binary_of(std::string s) { return {what::binary, std::move(s)}; }
seen ping_of(std::string s) { return {what::ping, std::move(s)}; }
seen pong_of(std::string s) { return {what::pong, std::move(s)}; }
seen close_of(int code, std::string reason = {}) { return {what::close, std::move(reason), code}; }
seen refused_with(int code) { return {what::refused, {}, code}; }

struct stream_case {
    std::string name;
    std::string stream;
    events expected;
    std::uint32_t message_bytes_max = 1 << 20;
};

// Feeds one piece, in memory of its own, so that a sanitizer sees every read beyond it. False after the end.
bool feed(receiver& r, inflater& shared, std::string_view piece, events& out) {
    bytes memory(as_bytes(piece).begin(), as_bytes(piece).end());
    std::span<std::byte> input(memory);
    for (;;) {
        const auto e = r.next(input, shared);
        if (e.kind == what::need_more) {
            CHECK(input.empty());
            return true;
        }
        out.push_back({e.kind, std::string(as_text(e.payload)), e.code});
        if (e.kind == what::refused)
            CHECK((std::string_view(e.why).size() > 0 && std::string_view(e.why).size() <= 123));
        if (e.kind == what::close || e.kind == what::refused)
            return false;
    }
}

events read_in_pieces(const stream_case& c, const std::vector<std::size_t>& cuts, bool compressed) {
    receiver r(c.message_bytes_max, compressed);
    inflater shared;
    events out;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const auto end = i < cuts.size() ? cuts[i] : c.stream.size();
        if (!feed(r, shared, std::string_view(c.stream).substr(begin, end - begin), out))
            break;
        begin = end;
    }
    return out;
}

// Whole, byte by byte, and cut once at every position (of long streams: near the ends and at some between).
void check_all_cuts(const stream_case& c, bool compressed = false) {
    CAPTURE(c.name);
    CHECK(read_in_pieces(c, {}, compressed) == c.expected);
    std::vector<std::size_t> every;
    for (std::size_t i = 1; i < c.stream.size(); ++i)
        every.push_back(i);
    CHECK(read_in_pieces(c, every, compressed) == c.expected);
    const std::size_t step = c.stream.size() < 1500 ? 1 : c.stream.size() / 37;
    for (std::size_t cut = 1; cut < c.stream.size(); cut += cut < 64 ? 1 : step) {
        CAPTURE(cut);
        CHECK(read_in_pieces(c, {cut}, compressed) == c.expected);
    }
}

std::string unmasked(unsigned first, std::string_view payload) {
    return std::string(1, static_cast<char>(first)) + static_cast<char>(payload.size()) +
           std::string(payload);
}

// A header that announces `length` in eight bytes, and its key.
std::string announced(unsigned first, std::uint64_t length) {
    std::string out(1, static_cast<char>(first));
    out += '\xff';
    for (int i = 7; i >= 0; --i)
        out += static_cast<char>(length >> 8 * i);
    return out + "\x01\x02\x03\x04";
}

// Receivers of other projects were seen to fail these.
const std::vector<stream_case> known_defects = {
    {"two fragments with two keys, lengths not multiples of four",
     frame(0x01, "Hello, ", {1, 2, 3, 4}) + frame(0x80, "world", {250, 7, 99, 180}),
     {text_of("Hello, world")}},
    {"ping of 126 bytes", ping(std::string(126, 'x')), {refused_with(1002)}},
    {"RSV1 without extension", frame(0xc1, "abc"), {refused_with(1002)}},
    {"unmasked client frame", unmasked(0x81, "abc"), {refused_with(1002)}},
    {"bad UTF-8 split across frames",
     frame(0x01, "\xce"s) + frame(0x80, "\x41"),
     {refused_with(1007)}},
    {"40,000 bytes", text(std::string(40000, 'y')), {text_of(std::string(40000, 'y'))}},
    {"an empty text message", text(""), {text_of("")}},
    {"text fragment, ping, final fragment",
     frame(0x01, "first ") + ping("?") + frame(0x80, "last"),
     {ping_of("?"), text_of("first last")}},
    {"unmasked frame of 1 GiB announced",
     "\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x00"s,
     {refused_with(1002)}},
    {"unsolicited pong",
     pong("out of the blue") + text("on"),
     {pong_of("out of the blue"), text_of("on")}},
    {"announced 2^40 bytes", announced(0x82, std::uint64_t{1} << 40), {refused_with(1009)}},
    {"two messages in one read", text("one") + binary("two"), {text_of("one"), binary_of("two")}},
};

const std::vector<stream_case> framing = {
    {"lengths at the borders of their forms",
     binary(std::string(125, 'a')) + binary(std::string(126, 'b')) + binary(std::string(127, 'c')),
     {binary_of(std::string(125, 'a')), binary_of(std::string(126, 'b')),
      binary_of(std::string(127, 'c'))}},
    {"65,535 and 65,536 bytes",
     binary(std::string(65535, 'a')) + binary(std::string(65536, 'b')),
     {binary_of(std::string(65535, 'a')), binary_of(std::string(65536, 'b'))}},
    {"empty binary", binary(""), {binary_of("")}},
    {"empty fragments", frame(0x01, "") + frame(0x00, "") + frame(0x80, ""), {text_of("")}},
    {"an empty first and last fragment",
     frame(0x02, "") + frame(0x00, "middle") + frame(0x80, ""),
     {binary_of("middle")}},
    {"ping empty, of 125 bytes, and of any bytes",
     ping("") + ping(std::string(125, '\xfe')) + ping("\0\xff\xfe"s),
     {ping_of(""), ping_of(std::string(125, '\xfe')), ping_of("\0\xff\xfe"s)}},
    {"many pings in a row between fragments",
     frame(0x01, "a") + ping("1") + ping("2") + frame(0x00, "b") + pong("3") + frame(0x80, "c") +
         text("d"),
     {ping_of("1"), ping_of("2"), pong_of("3"), text_of("abc"), text_of("d")}},
    {"RSV2", frame(0xa1, "x"), {refused_with(1002)}},
    {"RSV3", frame(0x91, "x"), {refused_with(1002)}},
    {"all reserved bits", frame(0xf1, "x"), {refused_with(1002)}},
    {"reserved bit on a ping after a good message",
     text("ok") + frame(0x99, ""),
     {text_of("ok"), refused_with(1002)}},
    {"RSV1 on close", frame(0xc8, ""), {refused_with(1002)}},
    {"opcode 3", frame(0x83, ""), {refused_with(1002)}},
    {"opcode 7", frame(0x87, "x"), {refused_with(1002)}},
    {"opcode 11", frame(0x8b, ""), {refused_with(1002)}},
    {"opcode 15", frame(0x8f, "x"), {refused_with(1002)}},
    {"fragmented ping", frame(0x09, "x"), {refused_with(1002)}},
    {"fragmented close", frame(0x08, ""), {refused_with(1002)}},
    {"control frame with a 16-bit length",
     "\x8a\xfe\x00\x7e\x01\x02\x03\x04"s,
     {refused_with(1002)}},
    {"continuation of nothing", frame(0x80, "x"), {refused_with(1002)}},
    {"continuation of nothing, not final", frame(0x00, "x"), {refused_with(1002)}},
    {"continuation after a whole message",
     text("a") + frame(0x80, "x"),
     {text_of("a"), refused_with(1002)}},
    {"continuation after a finished fragmented message",
     frame(0x01, "a") + frame(0x80, "b") + frame(0x80, "c"),
     {text_of("ab"), refused_with(1002)}},
    {"a text inside a fragmented text", frame(0x01, "a") + text("b"), {refused_with(1002)}},
    {"a binary fragment inside a fragmented text",
     frame(0x01, "a") + frame(0x02, "b"),
     {refused_with(1002)}},
    {"unmasked ping", unmasked(0x89, ""), {refused_with(1002)}},
    {"unmasked close", unmasked(0x88, "\x03\xe8"), {refused_with(1002)}},
    {"unmasked continuation", frame(0x01, "a") + unmasked(0x80, "b"), {refused_with(1002)}},
    {"16-bit length of 125", "\x82\xfe\x00\x7d\x01\x02\x03\x04"s, {refused_with(1002)}},
    {"64-bit length of 125", announced(0x82, 125), {refused_with(1002)}},
    {"64-bit length of 65,535", announced(0x82, 65535), {refused_with(1002)}},
    {"64-bit length with the top bit",
     announced(0x82, std::uint64_t{1} << 63),
     {refused_with(1002)}},
    {"all bits of the length", announced(0x82, UINT64_MAX), {refused_with(1002)}},
    {"announced 2^32 bytes", announced(0x81, std::uint64_t{1} << 32), {refused_with(1009)}},
    {"a key of zeros", frame(0x81, "plain", {0, 0, 0, 0}), {text_of("plain")}},
};

const std::vector<stream_case> limits = {
    {"at the limit", binary("0123456789"), {binary_of("0123456789")}, 10},
    {"one above the limit", binary("0123456789a"), {refused_with(1009)}, 10},
    {"fragments at the limit",
     frame(0x02, "01234") + frame(0x80, "56789"),
     {binary_of("0123456789")},
     10},
    {"fragments one above the limit",
     frame(0x02, "01234") + frame(0x80, "56789a"),
     {refused_with(1009)},
     10},
    {"control frames do not count",
     frame(0x02, "01234") + ping("0123456789abc") + frame(0x80, "56789"),
     {ping_of("0123456789abc"), binary_of("0123456789")},
     10},
    {"each message counts for itself",
     binary("0123456789") + binary("0123456789"),
     {binary_of("0123456789"), binary_of("0123456789")},
     10},
    {"nothing but empty messages", text("") + text("a"), {text_of(""), refused_with(1009)}, 0},
};

const std::vector<stream_case> texts = {
    {"a character cut between fragments",
     frame(0x01, "\xce") + frame(0x80, "\xba"),
     {text_of("\xce\xba")}},
    {"a character cut in three, with a ping between",
     frame(0x01, "\xe1") + frame(0x00, "\xbd") + ping("") + frame(0x80, "\xb9"),
     {ping_of(""), text_of("\xe1\xbd\xb9")}},
    {"a whole text that ends inside a character", text("ab\xe1\xbd"), {refused_with(1007)}},
    {"a fragmented text that ends inside a character",
     frame(0x01, "a") + frame(0x80, "\xe1\xbd"),
     {refused_with(1007)}},
    {"a surrogate", text("a\xed\xa0\x80z"), {refused_with(1007)}},
    {"a bad byte in the first fragment is refused before the ping that follows",
     frame(0x01, "a\xff") + ping("") + frame(0x80, "b"),
     {refused_with(1007)}},
    {"a bad byte is refused before its frame ends",
     frame(0x81, "ok\xf4\x90 and more").substr(0, 10),
     {refused_with(1007)}},
    {"binary may hold anything", binary("\xff\xfe\0"s), {binary_of("\xff\xfe\0"s)}},
    {"a text after a refused character would be clean",
     frame(0x01, "\xce") + frame(0x80, "\xba") + text("\xce\xba"),
     {text_of("\xce\xba"), text_of("\xce\xba")}},
};

std::vector<stream_case> close_frames() {
    std::vector<stream_case> cases = {
        {"without a code", frame(0x88, "") + text("late"), {close_of(1005)}},
        {"of one byte", frame(0x88, "\x03"), {refused_with(1002)}},
        {"with a reason", close(1000, "done"), {close_of(1000, "done")}},
        {"with the longest reason",
         close(1001, std::string(123, 'r')),
         {close_of(1001, std::string(123, 'r'))}},
        {"with a reason too long", close(1000, std::string(124, 'r')), {refused_with(1002)}},
        {"with a reason that is not UTF-8",
         close(1000, "\xce\xba\xe1\xbd\xb9\xed\xa0\x80"),
         {refused_with(1007)}},
        {"with a reason that ends inside a character", close(1000, "\xce"), {refused_with(1007)}},
        {"inside a fragmented message", frame(0x01, "a") + close(1000), {close_of(1000)}},
        {"a message before it is delivered",
         text("a") + close(1000) + ping("b"),
         {text_of("a"), close_of(1000)}},
    };
    for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                           3000, 3999, 4000, 4999})
        cases.push_back(
            {"code " + std::to_string(code), close(static_cast<unsigned>(code)), {close_of(code)}});
    for (const int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535})
        cases.push_back({"code " + std::to_string(code),
                         close(static_cast<unsigned>(code)),
                         {refused_with(1002)}});
    return cases;
}

} // namespace

TEST_CASE("what other receivers were seen to get wrong, however it is cut") {
    for (const auto& c : known_defects)
        check_all_cuts(c);
}

TEST_CASE("frames are read or refused as RFC 6455 says, however they are cut") {
    for (const auto& c : framing)
        check_all_cuts(c);
}

TEST_CASE("a message larger than the limit is refused with 1009, however it is cut") {
    for (const auto& c : limits)
        check_all_cuts(c);
}

TEST_CASE(
    "a text that is not UTF-8 is refused with 1007 at its first bad byte, however it is cut") {
    for (const auto& c : texts)
        check_all_cuts(c);
}

TEST_CASE(
    "close frames carry a code that may be sent and a reason in UTF-8, however they are cut") {
    for (const auto& c : close_frames())
        check_all_cuts(c);
}

TEST_CASE("a message too large is refused at its header, before any payload") {
    const auto header = announced(0x82, std::uint64_t{1} << 40);
    const stream_case c{"", header.substr(0, 10), {refused_with(1009)}};
    CHECK(read_in_pieces(c, {}, false) == c.expected);
}

TEST_CASE("a whole frame is delivered where it lies in the input") {
    auto stream = text("in place") + ping("too");
    std::span<std::byte> input = std::as_writable_bytes(std::span(stream));
    const auto* first = input.data();
    receiver r(1000, false);
    inflater shared;
    CHECK(r.next(input, shared).payload.data() == first + 6);
    CHECK(r.next(input, shared).payload.data() == first + 6 + 8 + 6);
    CHECK(input.empty());
}

TEST_CASE("what follows a close frame or a refusal is discarded") {
    for (const auto& last : {close(1000), unmasked(0x81, "x")}) {
        receiver r(1000, false);
        inflater shared;
        auto stream = last + text("late") + ping("later");
        std::span<std::byte> input = std::as_writable_bytes(std::span(stream));
        const auto kind = r.next(input, shared).kind;
        CHECK((kind == what::close || kind == what::refused));
        CHECK_FALSE(input.empty());
        CHECK(r.next(input, shared).kind == what::need_more);
        CHECK(input.empty());
        auto more = text("and more");
        input = std::as_writable_bytes(std::span(more));
        CHECK(r.next(input, shared).kind == what::need_more);
        CHECK(input.empty());
    }
}

TEST_CASE("fragments of one byte each make a message") {
    std::string stream = frame(0x02, "0");
    std::string expected = "0";
    for (int i = 1; i < 3000; ++i) {
        stream += frame(i == 2999 ? 0x80 : 0x00, "x");
        expected += "x";
    }
    check_all_cuts({"", stream, {binary_of(expected)}});
}

TEST_CASE("a client reads a server's frames, which are not masked, however they are cut") {
    const auto plain = [](const shared_frame& one) { return std::string(as_text(one.view())); };
    deflater compressing;
    const std::string long_text(70'000, 't');
    const auto stream =
        plain(make_text("hello")) + plain(make_frame(opcode::ping, {})) +
        plain(make_frame(opcode::binary, as_bytes(std::string(300, 'b')))) +
        plain(make_text(long_text)) +
        plain(make_frame(opcode::text, compressing.compress(as_bytes(long_text), 15), true)) +
        plain(make_close(4404, "gone"));
    const events expected = {
        text_of("hello"),   ping_of(""),        binary_of(std::string(300, 'b')),
        text_of(long_text), text_of(long_text), close_of(4404, "gone")};
    for (const std::size_t piece : {stream.size(), std::size_t{1}, std::size_t{7}}) {
        receiver r(UINT32_MAX, true, sent_by::server);
        inflater shared;
        events seen_events;
        for (std::size_t at = 0; at < stream.size(); at += piece)
            feed(r, shared, std::string_view(stream).substr(at, piece), seen_events);
        CHECK(seen_events == expected);
    }
    for (const auto& wrong : {frame(0x81, "masked"), "\x81\x7e\x00\x05hello"s}) {
        receiver r(1000, false, sent_by::server);
        inflater shared;
        events seen_events;
        feed(r, shared, wrong, seen_events);
        CHECK(seen_events == events{refused_with(1002)});
    }
}

TEST_CASE("what a client writes is what a server reads") {
    const auto masked = [](const bytes& frame) { return std::string(as_text(frame)); };
    const mask_key key = {0x37, 0xfa, 0x21, 0x3d};
    CHECK(masked(make_masked_frame(opcode::text, as_bytes("Hello"), key)) ==
          "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); // RFC 6455 5.7
    for (const std::size_t size : {0u, 125u, 126u, 65'535u, 65'536u}) {
        const std::string payload(size, 'x');
        check_all_cuts({"",
                        masked(make_masked_frame(opcode::binary, as_bytes(payload), key)),
                        {binary_of(payload)}});
    }
    check_all_cuts(
        {"", masked(make_masked_close(1001, "leaving", key)), {close_of(1001, "leaving")}});
}

} // namespace carillon::wire::ws
