#include "wire/gzip.hpp"

#include <string>

#include <zlib.h>

#include <doctest/doctest.h>

namespace carillon::wire {

TEST_CASE("what was compressed comes out again, also when it is empty or cannot shrink") {
    std::string noise;
    for (unsigned i = 0; i < 5000; ++i)
        noise += static_cast<char>((i * 2654435761u) >> 24);
    for (const auto& content :
         {std::string(), std::string("a"), std::string(100'000, 'x'), noise}) {
        auto compressed = gzip(as_bytes(content));
        std::string inflated(content.size() + 1, '\0');
        z_stream stream{};
        REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
        stream.next_in = reinterpret_cast<Bytef*>(compressed.data());
        stream.avail_in = static_cast<uInt>(compressed.size());
        stream.next_out = reinterpret_cast<Bytef*>(inflated.data());
        stream.avail_out = static_cast<uInt>(inflated.size());
        CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
        inflated.resize(stream.total_out);
        CHECK(inflated == content);
        inflateEnd(&stream);
    }
}

} // namespace carillon::wire
