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

TEST_CASE("zlib streams come out again, up to the limit and not above it") {
    std::string noise;
    for (unsigned i = 0; i < 200'000; ++i)
        noise += static_cast<char>((i * 2654435761u) >> 24);
    for (const auto& content :
         {std::string(), std::string("a"), std::string(300'000, 'x'), noise}) {
        const auto stream = zlib_compress(as_bytes(content));
        CHECK(as_text(zlib_inflate(stream, content.size()).value()) == content);
        CHECK(as_text(zlib_inflate(stream, 1u << 30).value()) == content);
        if (!content.empty())
            CHECK(zlib_inflate(stream, content.size() - 1).error().code == errc::too_large);
        for (std::size_t cut :
             {std::size_t{0}, std::size_t{1}, stream.size() / 2, stream.size() - 1})
            CHECK(zlib_inflate(bytes_view(stream).first(cut), 1u << 30).error().code ==
                  errc::corrupt);
        auto longer = stream;
        longer.push_back(std::byte{0});
        CHECK(zlib_inflate(longer, 1u << 30).error().code == errc::corrupt);
    }
    CHECK(zlib_inflate(gzip(as_bytes("a")), 100).error().code == errc::corrupt);
    CHECK(zlib_inflate(as_bytes("no stream"), 100).error().code == errc::corrupt);
}

} // namespace carillon::wire
