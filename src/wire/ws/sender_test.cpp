#include "wire/ws/sender.hpp"

#include <string>

#include <doctest/doctest.h>

namespace carillon::wire::ws {

namespace {

using namespace std::string_literals;

std::string written(const shared_frame& frame) { return std::string(as_text(frame.view())); }

} // namespace

TEST_CASE("the examples of RFC 6455 section 5.7 are written byte for byte") {
    CHECK(written(make_text("Hello")) == "\x81\x05Hello");
    CHECK(written(make_frame(opcode::ping, as_bytes("Hello"))) == "\x89\x05Hello");
    const std::string k256(256, 'a');
    CHECK(written(make_frame(opcode::binary, as_bytes(k256))) == "\x82\x7e\x01\x00"s + k256);
    const std::string k64(65536, 'b');
    CHECK(written(make_frame(opcode::binary, as_bytes(k64))) ==
          "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + k64);
}

TEST_CASE("lengths are written in their shortest form") {
    CHECK(written(make_text("")) == "\x81\x00"s);
    CHECK(written(make_text(std::string(125, 'a'))).substr(0, 3) == "\x81\x7d"
                                                                    "a");
    CHECK(written(make_text(std::string(126, 'a'))).substr(0, 5) == "\x81\x7e\x00\x7e"
                                                                    "a"s);
    CHECK(written(make_text(std::string(65535, 'a'))).substr(0, 5) == "\x81\x7e\xff\xff"
                                                                      "a"s);
}

TEST_CASE("a compressed message carries RSV1") {
    CHECK(written(make_frame(opcode::text, as_bytes("\x00"s), true)) == "\xc1\x01\x00"s);
}

TEST_CASE("a close reason is cut to 123 bytes without cutting a character") {
    CHECK(written(make_close(1000, "")) == "\x88\x02\x03\xe8");
    CHECK(written(make_close(4401, "not signed in")) == "\x88\x0f\x11\x31not signed in");
    CHECK(written(make_close(1011, std::string(200, 'r'))) ==
          "\x88\x7d\x03\xf3" + std::string(123, 'r'));
    std::string reason(122, 'r');
    reason += "\xe2\x82\xac";
    const auto cut = written(make_close(1011, reason));
    CHECK(cut == "\x88\x7c\x03\xf3" + std::string(122, 'r'));
}

TEST_CASE("a close reason that is not UTF-8 ends before its first bad character") {
    CHECK(written(make_close(1000, "ab\xff"
                                   "cd")) == "\x88\x04\x03\xe8"
                                             "ab");
    CHECK(written(make_close(1000, "ab\xce")) == "\x88\x04\x03\xe8"
                                                 "ab");
}

} // namespace carillon::wire::ws
