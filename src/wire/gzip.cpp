#include "wire/gzip.hpp"

#include <zlib.h>

#include <carillon/base/assert.hpp>

namespace carillon::wire {

bytes gzip(bytes_view content) {
    constexpr int gzip_window = 15 + 16; // zlib's way to ask for a gzip header
    constexpr int memory_level = 8;
    z_stream stream{};
    int outcome = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window,
                               memory_level, Z_DEFAULT_STRATEGY);
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

} // namespace carillon::wire
