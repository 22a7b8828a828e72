#include "wire/gzip.hpp"

#include <algorithm>

#include <zlib.h>

#include <carillon/base/assert.hpp>

namespace carillon::wire {

namespace {

constexpr int zlib_window = 15;
constexpr int gzip_window = 15 + 16; // zlib's way to ask for a gzip header

bytes compress(bytes_view content, int window) {
    constexpr int memory_level = 8;
    z_stream stream{};
    int outcome = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window, memory_level,
                               Z_DEFAULT_STRATEGY);
    CARILLON_ASSERT(outcome == Z_OK, "zlib starts a stream");
    bytes compressed(deflateBound(&stream, static_cast<uLong>(content.size())));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(content.data()));
    stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
    stream.avail_out = static_cast<uInt>(compressed.size());
    outcome = deflate(&stream, Z_FINISH);
    CARILLON_ASSERT(outcome == Z_STREAM_END, "the bound that zlib gave is enough");
    compressed.resize(stream.total_out);
    deflateEnd(&stream);
    return compressed;
}

// Owns zlib's memory, whatever happens to the bytes.
class inflater {
public:
    inflater() {
        const int outcome = inflateInit2(&stream_, zlib_window);
        CARILLON_ASSERT(outcome == Z_OK, "zlib starts a stream");
    }
    inflater(const inflater&) = delete;
    inflater& operator=(const inflater&) = delete;
    ~inflater() { inflateEnd(&stream_); }
    z_stream* operator->() noexcept { return &stream_; }
    int step() noexcept { return inflate(&stream_, Z_NO_FLUSH); }

private:
    z_stream stream_{};
};

failure damaged(const char* what) { return {errc::corrupt, what}; }

} // namespace

bytes gzip(bytes_view content) { return compress(content, gzip_window); }

bytes zlib_compress(bytes_view content) { return compress(content, zlib_window); }

result<bytes> zlib_inflate(bytes_view stream, std::size_t content_bytes_max) {
    constexpr std::size_t chunk = 64 * 1024;
    inflater z;
    z->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream.data()));
    bytes content;
    std::size_t given = 0;
    int outcome = Z_OK;
    while (outcome != Z_STREAM_END) {
        if (z->avail_in == 0) {
            const auto some = std::min<std::size_t>(stream.size() - given, 1u << 30);
            z->avail_in = static_cast<uInt>(some);
            given += some;
        }
        const auto had = content.size();
        // One byte above the limit shows that there is more.
        content.resize(std::min(had + std::max(chunk, had), content_bytes_max + 1));
        z->next_out = reinterpret_cast<Bytef*>(content.data() + had);
        const auto room = std::min<std::size_t>(content.size() - had, 1u << 30);
        z->avail_out = static_cast<uInt>(room);
        outcome = z.step();
        content.resize(had + room - z->avail_out);
        if (content.size() > content_bytes_max)
            return failure{errc::too_large, "the content is larger than what is inflated"};
        if (outcome == Z_BUF_ERROR ||
            (outcome == Z_OK && z->avail_in == 0 && z->avail_out > 0 && given == stream.size()))
            return damaged("the zlib stream is cut");
        if (outcome != Z_OK && outcome != Z_STREAM_END)
            return damaged("the zlib stream is damaged");
    }
    if (z->avail_in > 0 || given < stream.size())
        return damaged("something follows the zlib stream");
    return content;
}

} // namespace carillon::wire
