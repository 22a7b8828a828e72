// gzip (RFC 1952), for representations that are sent compressed, and bare zlib streams (RFC 1950), which other programs
// put into messages.
#pragma once

#include <carillon/base/bytes.hpp>
#include <carillon/base/result.hpp>

namespace carillon::wire {

// The content as one gzip stream without name and time. Memory follows the content.
bytes gzip(bytes_view content);

// The content as one zlib stream. Memory follows the content.
bytes zlib_compress(bytes_view content);
// The content of one zlib stream that fills `stream` exactly. errc::too_large where it would have more than
// `content_bytes_max` bytes, found before more is taken; errc::corrupt where the stream is damaged, cut or followed by
// something else.
result<bytes> zlib_inflate(bytes_view stream, std::size_t content_bytes_max);

} // namespace carillon::wire
