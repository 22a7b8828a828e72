// gzip (RFC 1952), for representations that are sent compressed.
#pragma once

#include <carillon/base/bytes.hpp>

namespace carillon::wire {

// The content as one gzip stream without name and time. Memory follows the content.
bytes gzip(bytes_view content);

} // namespace carillon::wire
