#include <doctest/doctest.h>

#include "load/frames.hpp"
#include "load/histogram.hpp"
#include "load/payload_mark.hpp"
#include "load/usage_error.hpp"

using namespace carillon::bench;

TEST_CASE("a percentile is never below the true value and at most 1.6 % above it") {
    for (std::uint64_t v :
         {0ull, 1ull, 63ull, 64ull, 65ull, 1'000ull, 123'456'789ull, 1ull << 62}) {
        histogram h;
        h.add(v);
        h.add(UINT64_MAX); // so that the cap at the maximum hides nothing
        double truth = static_cast<double>(v) / 1e3;
        CHECK(h.quantile_us(.25) >= truth);
        CHECK(h.quantile_us(.25) <= truth * 1.016);
    }
}

TEST_CASE("the median of 1 to 100 microseconds is 50") {
    histogram h;
    for (std::uint64_t i = 1; i <= 100; ++i)
        h.add(i * 1000);
    CHECK(h.quantile_us(.5) == doctest::Approx(51).epsilon(.02));
    CHECK(h.mean_us() == doctest::Approx(50.5));
    CHECK(h.max_us() == doctest::Approx(100));
}

TEST_CASE("a mark is found again alone and inside whatever a server makes of the text") {
    std::string text;
    write_mark(text, {1234567890123, 42}, 200);
    CHECK(text.size() == 200);
    std::string wrapped =
        R"({"type": "bench.message", "events=": "ts=x", "text": ")" + text + "\"}";
    for (const std::string& form : {text, wrapped}) {
        auto mark = find_mark(form);
        REQUIRE(mark.has_value());
        CHECK(mark->sent_ns == 1234567890123);
        CHECK(mark->sequence == 42);
    }
    for (const char* none : {"", "ts=", "ts=12", "ts=12 seq=", "seq=1 ts=2", "xx"})
        CHECK_FALSE(find_mark(none).has_value());
}

TEST_CASE("the accept value is that of the example in RFC 6455") {
    CHECK(accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("a masked frame of every length form carries its payload") {
    for (std::size_t size : {0u, 1u, 7u, 8u, 125u, 126u, 65535u, 65536u}) {
        std::string payload(size, 'p'), frame;
        append_masked(frame, opcode::text, payload, 0x01020304);
        std::size_t head = size < 126 ? 6 : size < 65536 ? 8 : 14;
        REQUIRE(frame.size() == head + size);
        for (std::size_t i = 0; i < size; ++i)
            frame[head + i] = static_cast<char>(frame[head + i] ^ frame[head - 4 + i % 4]);
        CHECK(frame.substr(head) == payload);
        CHECK(parse_frame(frame).found == frame_head::state::invalid); // a server must not mask
    }
}

TEST_CASE("a server's frame is complete at its last byte and not before") {
    std::string frame = "\x81\x7e\x01\x00"; // the literal ends at the zero byte
    frame.resize(4);
    frame += std::string(256, 'x');
    for (std::size_t i = 0; i < frame.size(); ++i)
        CHECK(parse_frame(std::string_view(frame).substr(0, i)).found ==
              frame_head::state::incomplete);
    frame_head whole = parse_frame(frame);
    CHECK(whole.found == frame_head::state::complete);
    CHECK(whole.final);
    CHECK(whole.payload_bytes == 256);
}

TEST_CASE("an address without a scheme or with a port that is no number is refused") {
    CHECK(parse_target("ws://localhost:81/a?b").path == "/a?b");
    CHECK(parse_target("ws://localhost:81/a?b").host == "127.0.0.1");
    CHECK_THROWS_AS(parse_target("127.0.0.1:80"), usage_error);
    CHECK_THROWS_AS(parse_target("ws://127.0.0.1:x/"), usage_error);
    CHECK_THROWS_AS(parse_target("ws://127.0.0.1:70000/"), usage_error);
}
