#include "wire/ws/deflate.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "wire/utf8.hpp"
#include "wire/ws/receiver.hpp"
#include "wire/ws/test_frames.hpp"

namespace carillon::wire::ws {

namespace {

using namespace std::string_literals;
using outcome = inflater::outcome;

constexpr std::string_view base =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

struct offer_case {
    const char* offers;
    int window_bits; // 0: none is accepted
    bool echoed = false;
};

const offer_case offers[] = {
    {"permessage-deflate", 15},
    {"Permessage-Deflate", 15},
    {"permessage-deflate; client_max_window_bits", 15},
    {"permessage-deflate; client_max_window_bits=8", 15},
    {"permessage-deflate; client_max_window_bits=\"10\"", 15},
    {"permessage-deflate; client_no_context_takeover; client_max_window_bits", 15},
    {"permessage-deflate; server_no_context_takeover; client_no_context_takeover", 15},
    {"permessage-deflate; server_max_window_bits=9", 9, true},
    {"permessage-deflate;server_max_window_bits = \"12\"", 12, true},
    {"permessage-deflate; server_max_window_bits=15", 15, true},
    {"permessage-deflate; client_no_context_takeover; client_max_window_bits; "
     "server_no_context_takeover; "
     "server_max_window_bits=10",
     10, true},
    {"permessage-deflate; server_max_window_bits=8", 0},
    {"permessage-deflate; server_max_window_bits=8, permessage-deflate", 15},
    {"permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=11",
     11, true},
    {"permessage-deflate; server_max_window_bits=10, permessage-deflate", 10, true},
    {"x-webkit-deflate-frame, permessage-deflate", 15},
    {"x-other; a=\"b, permessage-deflate\"", 0},
    {"permessage-deflate; server_max_window_bits", 0},
    {"permessage-deflate; server_max_window_bits=16", 0},
    {"permessage-deflate; server_max_window_bits=7", 0},
    {"permessage-deflate; server_max_window_bits=010", 0},
    {"permessage-deflate; server_max_window_bits=+9", 0},
    {"permessage-deflate; server_max_window_bits=", 0},
    {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", 0},
    {"permessage-deflate; client_max_window_bits=16", 0},
    {"permessage-deflate; client_max_window_bits; client_max_window_bits", 0},
    {"permessage-deflate; client_no_context_takeover=1", 0},
    {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", 0},
    {"permessage-deflate; unknown", 0},
    {"permessage-deflate;", 0},
    {"permessage-deflate2", 0},
    {"", 0},
    {",,", 0},
};

// What compresses well, badly, and neither.
std::vector<std::string> messages() {
    std::string noise;
    std::uint32_t state = 1;
    for (int i = 0; i < 100000; ++i) {
        state = state * 1664525 + 1013904223;
        noise += static_cast<char>(state >> 24);
    }
    std::string json;
    for (int i = 0; i < 500; ++i)
        json += "{\"id\":" + std::to_string(i * 7919) +
                ",\"kind\":\"report\",\"done\":" + (i % 3 ? "true" : "false") + "},";
    return {"", "a", "Hello", std::string(200000, 'z'), noise, json, noise + json + noise};
}

std::string inflated(std::string_view compressed, outcome expected = outcome::ok,
                     std::size_t bytes_max = 1 << 20) {
    inflater in;
    bytes out;
    CHECK(in.inflate(as_bytes(compressed), bytes_max, out) == expected);
    return std::string(as_text(out));
}

struct seen {
    receiver::what kind;
    int code;
    std::string payload;
    friend bool operator==(const seen&, const seen&) = default;
};

std::vector<seen> receive(const std::string& stream, std::size_t piece_size,
                          std::uint32_t bytes_max) {
    receiver r(bytes_max, true);
    inflater shared;
    std::vector<seen> out;
    for (std::size_t begin = 0; begin < stream.size(); begin += piece_size) {
        auto piece = stream.substr(begin, piece_size);
        std::span<std::byte> input = std::as_writable_bytes(std::span(piece));
        for (;;) {
            const auto e = r.next(input, shared);
            if (e.kind == receiver::what::need_more)
                break;
            out.push_back({e.kind, e.code, std::string(as_text(e.payload))});
            if (e.kind == receiver::what::refused)
                return out;
        }
    }
    return out;
}

void check_received(const std::string& stream, const std::vector<seen>& expected,
                    std::uint32_t bytes_max = 1 << 20) {
    for (const std::size_t size :
         {stream.size(), std::size_t{1}, std::size_t{3}, std::size_t{1000}})
        CHECK(receive(stream, size, bytes_max) == expected);
}

} // namespace

TEST_CASE("the first offer that can be met is accepted") {
    for (const auto& c : offers) {
        CAPTURE(c.offers);
        const auto agreed = negotiate_deflate(c.offers);
        REQUIRE(agreed.has_value() == (c.window_bits != 0));
        if (!agreed)
            continue;
        CHECK(agreed->server_window_bits == c.window_bits);
        CHECK(agreed->response ==
              std::string(base) +
                  (c.echoed ? "; server_max_window_bits=" + std::to_string(c.window_bits) : ""));
    }
}

TEST_CASE("what is compressed with any window is inflated to the same, message after message") {
    deflater out;
    inflater in;
    for (int round = 0; round < 2; ++round) {
        for (int bits = 9; bits <= 15; ++bits) {
            for (const auto& message : messages()) {
                const auto compressed = out.compress(as_bytes(message), bits);
                bytes back;
                CHECK(in.inflate(compressed, message.size(), back) == outcome::ok);
                CHECK(as_text(back) == message);
            }
        }
    }
}

TEST_CASE("a compressed message does not refer to the one before it") {
    deflater out;
    const std::string first(as_text(out.compress(as_bytes("the same text"), 15)));
    const std::string second(as_text(out.compress(as_bytes("the same text"), 15)));
    CHECK(first == second);
    CHECK(inflated(second) == "the same text");
}

TEST_CASE("the empty message is one zero byte") {
    deflater out;
    CHECK(as_text(out.compress({}, 15)) == "\0"s);
    CHECK(inflated("\0"s).empty());
    CHECK(inflated("").empty());
}

TEST_CASE("the examples of RFC 7692 section 7.2.3 are read") {
    CHECK(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00"s) == "Hello");
    CHECK(inflated("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s) == "Hello");
    CHECK(inflated("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s) == "Hello");
    CHECK(inflated("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s) == "Hello");
}

TEST_CASE("an inflated message never grows beyond its limit") {
    deflater out;
    const std::string message(1 << 20, 'b');
    const std::string bomb(as_text(out.compress(as_bytes(message), 15)));
    CHECK(bomb.size() < 2000);
    for (const std::size_t limit :
         {std::size_t{0}, std::size_t{1}, std::size_t{100000}, message.size() - 1}) {
        inflater in;
        bytes grown;
        CHECK(in.inflate(as_bytes(bomb), limit, grown) == outcome::too_large);
        CHECK(grown.size() <= limit);
    }
    CHECK(inflated(bomb, outcome::ok, message.size()) == message);
}

TEST_CASE("damaged and cut messages are corrupt, and do not harm the next") {
    deflater out;
    const std::string good(
        as_text(out.compress(as_bytes("a message that will be cut somewhere"), 15)));
    inflater in;
    for (std::size_t size = 1; size < good.size(); ++size) {
        bytes broken;
        CHECK(in.inflate(as_bytes(good.substr(0, size)), 1000, broken) == outcome::corrupt);
        bytes whole;
        CHECK(in.inflate(as_bytes(good), 1000, whole) == outcome::ok);
        CHECK(as_text(whole) == "a message that will be cut somewhere");
    }
    inflated("\xff\xff\xff\xff", outcome::corrupt);
    inflated("\x06", outcome::corrupt);
}

TEST_CASE("compressed messages are received whole and in fragments") {
    deflater out;
    for (const auto& message : messages()) {
        const std::string compressed(as_text(out.compress(as_bytes(message), 15)));
        const seen binary{receiver::what::binary, 0, message};
        check_received(test::frame(0xc2, compressed) + test::frame(0xc2, compressed),
                       {binary, binary});
        const auto half = compressed.size() / 2;
        check_received(test::frame(0x42, compressed.substr(0, half)) + test::ping("p") +
                           test::frame(0x80, compressed.substr(half)),
                       {{receiver::what::ping, 0, "p"}, binary});
    }
}

TEST_CASE("a client with compression may send a message without it") {
    check_received(test::text("plain") + test::frame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"s),
                   {{receiver::what::text, 0, "plain"}, {receiver::what::text, 0, "Hello"}});
}

TEST_CASE("RSV1 on a continuation or a control frame is refused with 1002") {
    check_received(test::frame(0x41, "\xf2\x48") + test::frame(0xc0, "\xcd\xc9\xc9\x07\x00"s),
                   {{receiver::what::refused, 1002, ""}});
    check_received(test::frame(0xc9, ""), {{receiver::what::refused, 1002, ""}});
}

TEST_CASE("a bomb is refused with 1009, damage and bad UTF-8 with 1007") {
    deflater out;
    const std::string bomb(as_text(out.compress(as_bytes(std::string(1 << 20, 'b')), 15)));
    check_received(test::frame(0xc1, bomb), {{receiver::what::refused, 1009, ""}}, 100000);
    check_received(test::frame(0xc1, "\xff\xff\xff"), {{receiver::what::refused, 1007, ""}});
    const std::string bad(as_text(out.compress(as_bytes("\xed\xa0\x80"), 15)));
    check_received(test::frame(0xc1, bad), {{receiver::what::refused, 1007, ""}});
    check_received(test::frame(0xc2, bad), {{receiver::what::binary, 0, "\xed\xa0\x80"}});
}

TEST_CASE("a message at the limit passes although it grew by being compressed") {
    const auto noise = messages()[4];
    deflater out;
    const std::string compressed(as_text(out.compress(as_bytes(noise), 15)));
    REQUIRE(compressed.size() > noise.size());
    const auto size = static_cast<std::uint32_t>(noise.size());
    check_received(test::frame(0xc2, compressed), {{receiver::what::binary, 0, noise}}, size);
    check_received(test::frame(0xc2, compressed), {{receiver::what::refused, 1009, ""}}, size - 1);
}

TEST_CASE("a compressed message much larger than the limit is refused at its header") {
    const std::uint32_t limit = 10000;
    const auto header = [](std::size_t size) {
        return test::frame(0xc2, std::string(size, 'x')).substr(0, 8);
    };
    CHECK(receive(header(limit), 8, limit).empty());
    CHECK(receive(header(limit + 200), 8, limit) ==
          std::vector<seen>{{receiver::what::refused, 1009, ""}});
    const auto half = test::frame(0x42, std::string(limit / 2, 'x'));
    CHECK(receive(half + test::frame(0x80, std::string(limit, 'x')).substr(0, 8), 100000, limit) ==
          std::vector<seen>{{receiver::what::refused, 1009, ""}});
}

} // namespace carillon::wire::ws
